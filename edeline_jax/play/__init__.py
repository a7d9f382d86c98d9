"""The player in the browser: the world model and the real game, for a person or the policy at the keys."""
