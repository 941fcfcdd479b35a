"""Three posed pictures of a ramp, and fields that render them."""
