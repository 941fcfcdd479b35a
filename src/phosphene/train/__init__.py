"""The engine: phases, budgets, checkpoints, resume, other processes. It knows no model."""
