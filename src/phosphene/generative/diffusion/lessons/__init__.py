"""Diffusion at work."""
