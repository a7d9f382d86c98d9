#!/usr/bin/env bash
# Resumes a run from its newest checkpoint.
# Usage: bash launch/resume.sh [--dry-run] RUN [further flags, e.g. --config.evaluation.every=5]
set -euo pipefail
# shellcheck source=launch/dry_run.sh
source "$(dirname "${BASH_SOURCE[0]}")/dry_run.sh"

if (($# == 0)) || ! [[ $1 == gs://* || -f "$1/config.json" ]]; then
  fail "usage: bash launch/resume.sh RUN [flags]; RUN is the folder of a run, with its config.json"
fi
run=$1
[[ $run == gs://* ]] || run=$(realpath "$run")
shift
cd "$(dirname "${BASH_SOURCE[0]}")/.."

run bash launch/environment.sh
hand_over .venv/bin/python -m edeline_jax.train --config="configs/run.py:$run" --workdir="$run" "$@"
