"""Environments: native vectorized ones, gymnasium by name, explicit MDPs."""
