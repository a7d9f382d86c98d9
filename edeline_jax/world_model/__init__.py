"""The world model: diffusion, networks, loss, and imagination as an environment."""
