"""Three posed pictures of a ramp, and surfaces that render them."""
