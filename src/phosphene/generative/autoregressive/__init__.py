"""Autoregressive models: exact likelihoods, generation one value after another."""
