"""Three posed pictures of a ramp, and motions that render them."""
