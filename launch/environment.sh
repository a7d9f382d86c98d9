#!/usr/bin/env bash
# Makes .venv and installs the package into it (editable, with the versions in constraints/ for its Python).
# Does nothing if pyproject.toml, these versions and the extras have not changed since the last time.
# Usage: bash launch/environment.sh [--dry-run]
#   EDELINE_EXTRAS  extras of pyproject.toml, comma-separated (default: test; on an NVIDIA GPU: test,cuda12)
#   EDELINE_PYTHON  the Python that .venv is made from, 3.11 or newer (default: python3)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/dry_run.sh

extras=${EDELINE_EXTRAS:-test}
python=${EDELINE_PYTHON:-python3}

# Prints the version of a Python, e.g. 3.11; prints nothing if it is not a Python.
version() {
  "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true
}

refuse_python() {
  local found=${version:+is Python $version}
  local problem="${found:-cannot be run}; Python 3.11 or newer is needed"
  [[ -n ${EDELINE_PYTHON-} ]] ||
    fail "python3 $problem. If there is one here, name it: EDELINE_PYTHON=python3.12"
  fail "EDELINE_PYTHON=$python $problem. Install one, e.g. with 'apt install python3.12-venv' or 'uv python install 3.12'"
}

version=$(version "$python")
if [[ -x .venv/bin/pip ]]; then # pip is installed last, so a half-made .venv is made again
  made_from=$(version .venv/bin/python)
  [[ -z ${EDELINE_PYTHON-} || $version == "$made_from" ]] ||
    fail "EDELINE_PYTHON=$python is not Python $made_from, which .venv was made from; to change it, remove .venv first"
  version=${made_from:-$version}
fi
case $version in
  3.11) constraints=constraints/python3.11.txt ;;
  3.1[2-9] | 3.[2-9]?) constraints=constraints/python3.12.txt ;;
  *) refuse_python ;;
esac
[[ -x .venv/bin/pip ]] || run "$python" -m venv .venv

# The folder is part of the stamp because an editable install points to it.
stamp="$PWD [$extras] $(cat pyproject.toml "$constraints" | cksum)"
if [[ "$(cat .venv/stamp 2>/dev/null)" != "$stamp" ]]; then
  [[ -n $dry_run ]] || echo "Installing edeline-jax[$extras] into .venv (some minutes the first time)"
  run .venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check \
    --editable ".[$extras]" --constraint "$constraints"
  [[ -n $dry_run ]] || echo "$stamp" >.venv/stamp
fi
