"""Three posed pictures of a ramp, and translators that render them."""
