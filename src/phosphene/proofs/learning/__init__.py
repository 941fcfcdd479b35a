"""Proofs of the learning machinery."""
