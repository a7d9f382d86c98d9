#!/usr/bin/env bash
# Installs the package and trains the tiny Breakout configuration from start to end, on the device that JAX finds.
# Usage: bash launch/quickstart.sh [--dry-run] [further flags of the training program, e.g. --config.seed=1]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/dry_run.sh

[[ -n $dry_run ]] ||
  echo "Installs the package and trains a tiny agent on Breakout: 14 to 30 minutes on two CPU cores, then pictures."
run bash launch/environment.sh
hand_over .venv/bin/python -m edeline_jax.train --config=configs/atari.py:breakout,tiny \
  --workdir=outputs/quickstart "$@"
