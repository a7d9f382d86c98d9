"""A run's folder: layout, lock, checkpoints, metrics."""
