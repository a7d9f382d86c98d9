#!/usr/bin/env bash
# Installs the package, checks the style and runs the tests.
# Usage: bash launch/test.sh [--dry-run] [arguments of pytest, e.g. -m slow]
#   EDELINE_TEST_WORKERS    processes that run tests (default: 2)
#   JAX_PLATFORMS           the device of the tests (default: cpu; a GPU needs EDELINE_TEST_WORKERS=0)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/dry_run.sh

run bash launch/environment.sh
run source .venv/bin/activate
cache=${XDG_CACHE_HOME:-~/.cache}
run export JAX_PLATFORMS="${JAX_PLATFORMS:-cpu}"
run export JAX_COMPILATION_CACHE_DIR="${JAX_COMPILATION_CACHE_DIR:-$cache/edeline-jax}"

run ruff check .
run ruff format --check .
run shellcheck launch/* benchmarks/*.sh
# Tests of a file share compiled programs, so they run in one process; xdist's reordering would run the longest last.
run python -m pytest -n "${EDELINE_TEST_WORKERS:-2}" --dist loadfile --no-loadscope-reorder "$@"
