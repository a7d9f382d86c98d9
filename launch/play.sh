#!/usr/bin/env bash
# Installs the package and plays in a world model, in a browser; it prints the address of the page.
# Usage: bash launch/play.sh [--dry-run] [flags of edeline_jax.play, e.g. --workdir=RUN --port=9000]
#   Without --workdir and --agent it takes the trained agent that comes with the package.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/dry_run.sh

run env EDELINE_EXTRAS="${EDELINE_EXTRAS:-play}" bash launch/environment.sh
hand_over .venv/bin/python -m edeline_jax.play "$@"
