"""What changes parameters: state, optimizers, update programs."""
