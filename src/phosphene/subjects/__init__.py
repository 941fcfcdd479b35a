"""What is learned from: one folder a kind."""
