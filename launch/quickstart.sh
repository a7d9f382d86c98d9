#!/usr/bin/env bash
# Installs what is needed and trains the tiny Breakout configuration from start to end, on whatever device there is.
# Further flags go to the training program, e.g. --config.seed=1
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash launch/environment.sh
exec .venv/bin/python -m edeline_jax.train --config=configs/atari.py:breakout,tiny --workdir=outputs/quickstart "$@"
