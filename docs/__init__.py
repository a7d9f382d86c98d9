"""The manual; `configuration.py` makes one of its pages."""
