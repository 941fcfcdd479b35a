"""Scores that say what they are, with standard errors and the floor that real data would get."""
