"""The networks of an agent, and the forms in which their weights travel."""
