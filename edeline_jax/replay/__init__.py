"""Experience, on the accelerators or the host: storage, and the two kinds of segments sampled from it."""
