"""Linear learners at work."""
