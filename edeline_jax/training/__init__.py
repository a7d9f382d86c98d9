"""Training: the start, the loop and the end of a run."""
