"""The mathematics of the course at work."""
