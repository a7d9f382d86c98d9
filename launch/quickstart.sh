#!/usr/bin/env bash
# Installs the package, trains a tiny agent of Assault from start to end on the device that JAX finds, and scores it.
# Usage: bash launch/quickstart.sh [--dry-run] [further flags of the training program, e.g. --config.seed=1]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/dry_run.sh
folder=outputs/quickstart
page=$folder/report/index.html

[[ -n $dry_run ]] ||
  echo "Installs the package, trains a tiny agent of Assault in its own imagination and scores it beside random play:" \
    "about 15 minutes on two CPU cores."
run bash launch/environment.sh
run .venv/bin/python -m edeline_jax.train --config=configs/atari.py:assault,quick --workdir="$folder" "$@"
[[ -n $dry_run || -e $folder/summary.json ]] || exit 0 # it was interrupted; the same command goes on
run .venv/bin/python -m edeline_jax.evaluate --workdir="$folder" --episodes=48
run .venv/bin/python -m edeline_jax.report "$folder" --html="$page"
[[ -n $dry_run ]] || cat <<END

Open $page: what it learned, and films of what its world model imagines.
Next: docs/running.md for a run of the paper's size, docs/worlds.md for your own game.
END
