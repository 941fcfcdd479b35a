"""Bijections with log-determinants, conditional on any context, and the bases below them."""
