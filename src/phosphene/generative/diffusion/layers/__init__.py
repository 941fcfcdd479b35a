"""Networks that look at a noisy example and the time, and say what of it is noise."""
