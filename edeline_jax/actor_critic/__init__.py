"""The policy and its critic: network, rollouts in any environment, lambda-returns and loss."""
