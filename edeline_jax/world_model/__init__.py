"""The world model: diffusion mathematics, networks, loss, and imagination as an environment."""
