"""Diffusion and flow matching: data from noise, by a network that estimates the data."""
