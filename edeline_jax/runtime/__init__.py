"""The machine and its processes: errors, files, devices, cluster, signals. Knows nothing of EDELINE."""
