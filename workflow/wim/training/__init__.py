"""Training: from preference pairs to a checkpoint."""
