#!/usr/bin/env bash
# Runs games x seeds on this machine, one run per device at a time or several; a free place takes the next run.
# Usage: bash launch/local_grid.sh [--dry-run] OUTPUTS GAME[,GAME...] SEED[,SEED...] [flags of the training program]
#   EDELINE_DEVICES       numbers of the devices, e.g. 0,1,2,3 (default: every GPU; without GPUs one run at a time)
#   EDELINE_PRESET        of configs/atari.py for all runs, e.g. tiny
#   EDELINE_DEVICE_KIND   tpu: the devices are chips of a TPU VM
#   EDELINE_RUNS_PER_DEVICE  of a GPU, which they share by memory (default: 1). With NVIDIA's MPS, `nvidia-cuda-mps-control
#                         -d`, their kernels run side by side; without, they take turns
# A run is in OUTPUTS/GAME/SEED, its output in OUTPUTS/GAME/SEED.log. A run that fails does not stop the others.
# After SIGTERM or Ctrl-C the runs save and end; the same command resumes them and skips finished runs.
set -euo pipefail
# shellcheck source=launch/dry_run.sh
source "$(dirname "${BASH_SOURCE[0]}")/dry_run.sh"

(($# >= 3)) || fail "usage: bash launch/local_grid.sh [--dry-run] OUTPUTS GAME[,GAME...] SEED[,SEED...] [flags]"
outputs=$(realpath --canonicalize-missing "$1")
IFS=, read -ra games <<<"$2"
IFS=, read -ra seeds <<<"$3"
flags=("${@:4}")
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[[ ${EDELINE_DEVICE_KIND-} != tpu ]] || need EDELINE_DEVICES=0,1,2,3
gpus=$(nvidia-smi --list-gpus 2>/dev/null | sed -n 's/^GPU \([0-9]*\):.*/\1/p' | paste -sd,) || true
IFS=, read -ra devices <<<"${EDELINE_DEVICES:-$gpus}"
((${#devices[@]} > 0)) || devices=("") # one run at a time, on whatever JAX finds
share=${EDELINE_RUNS_PER_DEVICE:-1}
[[ $share =~ ^[1-9][0-9]?$ ]] || fail "EDELINE_RUNS_PER_DEVICE=$share: expected a number from 1 to 99"
[[ $share == 1 || ${EDELINE_DEVICE_KIND-} != tpu ]] || fail "EDELINE_RUNS_PER_DEVICE=$share: a TPU chip takes one run"
places=()
for ((i = 0; i < share; i++)); do places+=("${devices[@]}"); done

# compose DEVICE GAME SEED: the command of a run, which sees only its device.
compose() {
  local only=()
  case $1,${EDELINE_DEVICE_KIND-} in
    ,*) ;;
    *,tpu) only=(TPU_VISIBLE_CHIPS="$1" TPU_CHIPS_PER_PROCESS_BOUNDS="1,1,1" TPU_PROCESS_BOUNDS="1,1,1") ;;
    *) only=(CUDA_VISIBLE_DEVICES="$1") ;;
  esac
  ((share == 1)) || only+=(XLA_PYTHON_CLIENT_MEM_FRACTION="$(printf 0.%02d $((90 / share)))")
  command=(env "${only[@]}" .venv/bin/python -m edeline_jax.train --config="configs/atari.py:$2${EDELINE_PRESET:+,$EDELINE_PRESET}" --config.seed="$3"
    --distributed=off --workdir="$outputs/$2/$3" "${flags[@]}")
}

# work DEVICE: takes one run after the other until none is left. The worker that creates the claim folder owns the run.
work() {
  local device=$1 game seed log stopped=
  trap 'stopped=1' TERM
  for game in "${games[@]}"; do
    for seed in "${seeds[@]}"; do
      if [[ -n $stopped ]] || ! mkdir "$claims/$game-$seed" 2>/dev/null; then continue; fi
      log=$outputs/$game/$seed.log
      echo "$game, seed $seed${device:+, device $device}: $log"
      compose "$device" "$game" "$seed"
      if ! { mkdir -p "$outputs/$game" && "${command[@]}" </dev/null >>"$log" 2>&1; }; then
        echo "$game, seed $seed: $log" >"$claims/$game-$seed/failed"
      fi
    done
  done
}

plan() {
  local game seed next=0
  for game in "${games[@]}"; do
    for seed in "${seeds[@]}"; do
      compose "${places[next++ % ${#places[@]}]}" "$game" "$seed"
      run mkdir -p "$outputs/$game"
      echo "$(show "${command[@]}") </dev/null >>$(show "$outputs/$game/$seed.log") 2>&1"
    done
  done
}

pass_on() {
  echo "stopping: the runs save; the same command goes on" >&2
  for worker in "${workers[@]}"; do
    kill -TERM -- "-$worker" 2>/dev/null || true
  done
}

run bash launch/environment.sh
if [[ -n $dry_run ]]; then
  plan # as if all runs took the same time
else
  claims=$(mktemp -d)
  trap 'rm -r "$claims"' EXIT
  set -m # each worker and its run get a process group, so Ctrl-C reaches only this script and a run gets one signal
  workers=()
  trap pass_on INT TERM
  for device in "${places[@]}"; do
    work "$device" &
    workers+=($!)
  done
  for worker in "${workers[@]}"; do
    until wait "$worker"; do kill -0 "$worker" 2>/dev/null || break; done # a signal ends `wait` early
  done
fi

run .venv/bin/python -m edeline_jax.report "$outputs" || true # it prints its own message if no run has begun
if [[ -z $dry_run ]] && compgen -G "$claims/*/failed" >/dev/null; then
  echo "error: these runs failed:" >&2
  cat "$claims"/*/failed >&2
  exit 1
fi
