#!/usr/bin/env bash
# Installs what is needed, checks the style and runs the tests. Further arguments go to pytest, e.g. -m slow
#   EDELINE_TEST_WORKERS    processes that run tests (default: 2)
#   JAX_PLATFORMS           the device of the tests (default: cpu; a GPU wants EDELINE_TEST_WORKERS=0)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash launch/environment.sh
export PATH="$PWD/.venv/bin:$PATH"
export JAX_PLATFORMS="${JAX_PLATFORMS:-cpu}"
cache=${XDG_CACHE_HOME:-~/.cache}
export JAX_COMPILATION_CACHE_DIR="${JAX_COMPILATION_CACHE_DIR:-$cache/edeline-jax}"

ruff check .
ruff format --check .
python -m pytest -n "${EDELINE_TEST_WORKERS:-2}" --dist loadfile "$@" # files share their compiled programs
