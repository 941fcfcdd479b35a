"""Proofs of the mathematics behind the course."""
