"""Measurements and pictures that RESULTS.md quotes."""
