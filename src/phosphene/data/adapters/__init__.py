"""Readers of the user's own data, one file each; options are keyword-only parameters."""
