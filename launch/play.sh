#!/usr/bin/env bash
# Installs the package and plays in the world model of a run, in a browser; it prints the address of the page.
# Usage: bash launch/play.sh [--dry-run] [flags of edeline_jax.play, e.g. --agent=FILE --port=9000]
#   Without --workdir and --agent it takes the quickstart's run, outputs/quickstart.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/dry_run.sh

flags=("$@")
if [[ " $* " != *" --workdir"* && " $* " != *" --agent"* ]]; then
  [[ -n $dry_run || -e outputs/quickstart/agents ]] ||
    fail "outputs/quickstart has no agent yet: run 'bash launch/quickstart.sh' first, or give --workdir=RUN or --agent=FILE"
  flags=(--workdir=outputs/quickstart "$@")
fi
run env EDELINE_EXTRAS="${EDELINE_EXTRAS:-play}" bash launch/environment.sh
hand_over .venv/bin/python -m edeline_jax.play "${flags[@]}"
