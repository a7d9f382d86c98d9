"""Experience on the accelerator: storage, and the two kinds of segments sampled from it."""
