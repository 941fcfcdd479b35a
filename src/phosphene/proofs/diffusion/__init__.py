"""Proofs of what diffusion models rest on."""
