"""Playing real environments: collection, the replay it fills, and scores."""
