"""Pictures of a run: learning curves and imagined films. Nothing here is needed for training."""
