"""Where metrics go: a JSONL file always, TensorBoard and wandb where they are wanted."""
