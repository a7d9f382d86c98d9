"""Experience on the accelerator: storage, and the two kinds of segments that are cut from it."""
