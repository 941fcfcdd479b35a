"""Layers of autoregressive models."""
