#!/usr/bin/env bash
# Goes on with a run where it stood: bash launch/resume.sh RUN [further flags, e.g. --config.evaluation.every=5]
set -euo pipefail
if (($# == 0)) || ! [[ -f "$1/config.json" ]]; then
  echo "usage: bash launch/resume.sh RUN [flags]; RUN is the folder of a run, with its config.json" >&2
  exit 1
fi
run=$(realpath "$1")
shift
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash launch/environment.sh
exec .venv/bin/python -m edeline_jax.train --config="configs/run.py:$run" --workdir="$run" "$@"
