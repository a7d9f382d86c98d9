"""Learning: training state, optimizers, update programs."""
