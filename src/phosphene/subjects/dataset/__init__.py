"""Data sets: examples, one after another, each independent of the others."""
