"""Markov decision processes and their exact solution."""
