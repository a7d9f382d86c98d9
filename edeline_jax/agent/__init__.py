"""The networks of an agent, and the file formats of their weights."""
