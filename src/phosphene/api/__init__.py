"""The verbs: train, evaluate, sample, compare, export, report, solve."""
