"""The machine and its processes: errors, files, devices, cluster, signals. Nothing here is specific to EDELINE."""
