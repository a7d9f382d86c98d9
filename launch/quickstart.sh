#!/usr/bin/env bash
# Installs the package, trains a tiny agent of Assault in its own dream on the device that JAX finds, scores it beside
# random play, and writes the page of the run.
# Usage: bash launch/quickstart.sh [--dry-run] [further flags of the training program, e.g. --config.seed=1]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/dry_run.sh
folder=outputs/quickstart

[[ -n $dry_run ]] ||
  echo "Installs the package, trains a tiny agent of Assault in its own dream and scores it beside random play: about ten" \
    "minutes on two CPU cores, then a page with curves and films."
run bash launch/environment.sh
run .venv/bin/python -m edeline_jax.train --config=configs/atari.py:assault,quickstart --workdir="$folder" "$@"
[[ -n $dry_run || -e $folder/summary.json ]] || exit 0 # it was interrupted; the same command goes on
run .venv/bin/python -m edeline_jax.evaluate --workdir="$folder" --episodes=48
[[ -n $dry_run ]] || cat <<END

It plays better than at random if the two intervals above do not meet: all it has learnt, it has learnt in the dream.
Open $folder/report/index.html: its curves, and films of what its world model imagines.
Next: docs/running.md for a run of the paper's size, docs/worlds.md for your own game.
END
