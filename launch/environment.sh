#!/usr/bin/env bash
# Makes .venv and installs the package into it (editable, at the versions of constraints.txt).
# Does nothing when pyproject.toml, constraints.txt and the extras are those of the last time.
# Usage: bash launch/environment.sh [--dry-run]
#   EDELINE_EXTRAS  extras of pyproject.toml, comma-separated (default: test; on an NVIDIA GPU: test,cuda12)
#   EDELINE_PYTHON  the Python that .venv is made from (default: python3)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/dry_run.sh

extras=${EDELINE_EXTRAS:-test}
python=${EDELINE_PYTHON:-python3}

if ! [[ -x .venv/bin/pip ]]; then # pip comes last, so a half-made .venv is made again
  if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    fail "Python 3.11 or newer is needed; '$python' is missing or older." \
      "Set EDELINE_PYTHON to one, e.g. EDELINE_PYTHON=python3.12"
  fi
  run "$python" -m venv .venv
fi

# The folder is part of the stamp because an editable install points to it.
stamp="$PWD [$extras] $(cat pyproject.toml constraints.txt | cksum)"
if [[ "$(cat .venv/stamp 2>/dev/null)" != "$stamp" ]]; then
  [[ -n $dry_run ]] || echo "Installing edeline-jax[$extras] into .venv (some minutes the first time)"
  run .venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check \
    --editable ".[$extras]" --constraint constraints.txt
  [[ -n $dry_run ]] || echo "$stamp" >.venv/stamp
fi
