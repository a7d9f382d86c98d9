"""Programs that make the measurements and pictures in RESULTS.md."""
