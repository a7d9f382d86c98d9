"""What plays real environments, and what comes of it."""
