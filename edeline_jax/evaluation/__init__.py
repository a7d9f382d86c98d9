"""Evaluation of a policy and of a world model."""
