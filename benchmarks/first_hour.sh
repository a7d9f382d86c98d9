#!/usr/bin/env bash
# What to measure first on a GPU that is at hand for an hour: the parts in this order, each within ten minutes.
# Usage: bash benchmarks/first_hour.sh [--dry-run] PART
#   parity     the reference's numbers at full precision, which must agree, and in TF32, to see how far that is off
#   ceilings   what the card does at best: copies, matrix products, the U-Net's convolutions
#   updates    both updates and an imagined step, bfloat16 and then float32
#   run        minutes of real training: kernels of both updates, from a profile of three of each, and a film
# Everything goes to outputs/first_hour, and compiled programs to the cache there, so that later parts begin sooner.
#   EDELINE_GAME     that is played (default: breakout)
#   EDELINE_PRESET   of configs/atari.py, e.g. tiny, to try the script on a CPU
#   EDELINE_MINUTES  of the part `run` (default: 9, which leaves one to begin and to save)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/dry_run.sh
(($# == 1)) || fail "usage: bash benchmarks/first_hour.sh [--dry-run] parity|ceilings|updates|run"

python=.venv/bin/python
[[ -x $python || -n $dry_run ]] || python=python3 # a lent machine that has the packages
folder=outputs/first_hour
game=${EDELINE_GAME:-breakout}
config=configs/atari.py:$game${EDELINE_PRESET:+,$EDELINE_PRESET}
# A first epoch that is over within minutes, and a test after every epoch; a film comes with the first after five minutes.
short=(--config.collection.first_epoch.min=2000 --config.collection.first_epoch.max=2000
  --config.world_model.training.steps_first_epoch=4000 --config.actor_critic.training.steps_first_epoch=400
  --config.evaluation.every=1 --config.agent.compute_dtype=bfloat16)

# Runs a command; what it prints also goes to a file. The status is the command's.
note() {
  local file=$folder/$1.txt
  shift
  if [[ -n $dry_run ]]; then echo "$(show "$@") 2>&1 | tee $(show "$file")"; else "$@" 2>&1 | tee "$file"; fi
}

parity() {
  local tests=(-m pytest -n0 -q --tb=line tests/world_model/test_golden_modules.py tests/learning/test_golden_updates.py)
  local status=0
  note parity_highest "$python" "${tests[@]}" || status=$?
  note parity_tf32 env JAX_DEFAULT_MATMUL_PRECISION=tensorfloat32 "$python" "${tests[@]}" || true # it is to be off
  return $status
}

ceilings() {
  note ceilings "$python" -m benchmarks.ceilings
}

updates() {
  note updates "$python" -m benchmarks.updates --config="$config" --dtypes=bfloat16,float32 --json="$folder/updates.json"
}

run_training() {
  note run timeout --signal=TERM "${EDELINE_MINUTES:-9}m" \
    "$python" -m edeline_jax.train --config="$config" --workdir="$folder/run" --profile "${short[@]}" || [[ $? == 124 ]]
  for network in world_model actor_critic; do
    note "kernels_$network" "$python" -m benchmarks.kernels "$folder/run/profile/$network"
  done
}

run mkdir -p "$folder"
run export JAX_COMPILATION_CACHE_DIR="${JAX_COMPILATION_CACHE_DIR:-$folder/cache}"
[[ -n $dry_run ]] || nvidia-smi --query-gpu=name,memory.total,driver_version,clocks.max.sm --format=csv 2>/dev/null || true
case $1 in
  parity | ceilings | updates) "$1" ;;
  run) run_training ;;
  *) fail "unknown part $1: expected parity, ceilings, updates or run" ;;
esac
