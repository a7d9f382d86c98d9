"""Training: state, optimizers, update programs, collection, evaluation, the loop, and what a run leaves on disk."""
