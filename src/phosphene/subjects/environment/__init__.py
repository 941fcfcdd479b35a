"""Environments: what an agent meets depends on what it does."""
