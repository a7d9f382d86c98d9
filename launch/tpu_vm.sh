#!/usr/bin/env bash
# Runs on a TPU VM slice, from a machine with gcloud. Each host of the slice is one process of the run.
# Usage: bash launch/tpu_vm.sh [--dry-run] COMMAND [flags of the training program, e.g. --config.env.num_envs=8]
#   create    makes the slice
#   copy      unpacks the last commit into edeline-jax/ on every host
#   run       installs and trains there until the run has ended; it needs the connection, so start it in tmux or screen
#   resume    the same as run: a run continues from its newest checkpoint
#   watch     the same, and if the slice is pre-empted, makes it again, copies and resumes, until the run has ended
#   delete    gives the slice back
# Variables:
#   EDELINE_TPU_NAME, EDELINE_ZONE, EDELINE_PROJECT   which slice
#   EDELINE_ACCELERATOR, EDELINE_RUNTIME              what to create, e.g. v5litepod-8, v2-alpha-tpuv5-lite
#   EDELINE_CONFIG                                    e.g. configs/atari.py:breakout
#   EDELINE_WORKDIR                                   gs://BUCKET/FOLDER of the run
#   EDELINE_SPOT=1                                    create a spot slice, which is cheaper and can be pre-empted
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/dry_run.sh

need_slice() {
  need EDELINE_TPU_NAME=edeline EDELINE_ZONE=us-west4-a EDELINE_PROJECT=my-project "$@"
}
to_create=(EDELINE_ACCELERATOR=v5litepod-8 EDELINE_RUNTIME=v2-alpha-tpuv5-lite)
to_train=(EDELINE_CONFIG=configs/atari.py:breakout EDELINE_WORKDIR=gs://my-bucket/breakout)

# tpu VERB SUBJECT [flags]
tpu() {
  run gcloud compute tpus tpu-vm "$@" --zone="$EDELINE_ZONE" --project="$EDELINE_PROJECT"
}

create() {
  tpu create "$EDELINE_TPU_NAME" --accelerator-type="$EDELINE_ACCELERATOR" --version="$EDELINE_RUNTIME" \
    ${EDELINE_SPOT:+--spot}
}

copy() {
  run mkdir -p outputs
  run git archive --prefix=edeline-jax/ --output=outputs/edeline-jax.tar.gz HEAD
  tpu scp outputs/edeline-jax.tar.gz "$EDELINE_TPU_NAME:" --worker=all
  tpu ssh "$EDELINE_TPU_NAME" --worker=all --command="tar -xzf edeline-jax.tar.gz"
}

# The hosts' own Python is 3.10, too old. The ssh flag drops the connection to a host that is silent for 90 s.
train() {
  local python="sudo apt-get -qq update && sudo apt-get -qq -o DPkg::Lock::Timeout=600 install python3.11-venv"
  local install="EDELINE_PYTHON=python3.11 EDELINE_EXTRAS=tpu,gcs bash launch/environment.sh"
  local train
  train=$(show .venv/bin/python -m edeline_jax.train --config="$EDELINE_CONFIG" --distributed=on \
    --workdir="$EDELINE_WORKDIR" "$@")
  tpu ssh "$EDELINE_TPU_NAME" --worker=all --ssh-flag=-oServerAliveInterval=30 \
    --command="cd edeline-jax && { python3.11 -c 'import ensurepip' || { $python; }; } && $install && exec $train"
}

refuse_local_folder() {
  [[ $EDELINE_WORKDIR == gs://* ]] ||
    fail "EDELINE_WORKDIR=$EDELINE_WORKDIR: the hosts of a slice share no disk; it must be gs://BUCKET/FOLDER"
}

make_again() {
  tpu delete "$EDELINE_TPU_NAME" --quiet
  until create; do
    sleep 300 # no slice is free
  done
  copy
}

# A run stopped by a pre-emption exits with 0, like a finished one; only the state of the slice tells them apart.
watch_over() {
  local status state
  while true; do
    status=0
    train "$@" || status=$?
    run sleep 60 # a pre-empted slice still reports READY for a little while
    if [[ -n $dry_run ]]; then
      tpu describe "$EDELINE_TPU_NAME" --format="value(state)"
      echo "# where that says PREEMPTED or TERMINATED, this, and all of it again:"
      make_again
      return
    fi
    state=$(tpu describe "$EDELINE_TPU_NAME" --format="value(state)")
    case $state in
      PREEMPTED | TERMINATED) echo "$EDELINE_TPU_NAME is $state: making it again" ;;
      *) return "$status" ;;
    esac
    make_again
  done
}

command=${1-}
shift || true
case $command in
  create)
    need_slice "${to_create[@]}"
    create
    ;;
  copy)
    need_slice
    copy
    ;;
  run | resume)
    need_slice "${to_train[@]}"
    refuse_local_folder
    train "$@"
    ;;
  watch)
    need_slice "${to_create[@]}" "${to_train[@]}"
    refuse_local_folder
    watch_over "$@"
    ;;
  delete)
    need_slice
    tpu delete "$EDELINE_TPU_NAME" --quiet
    ;;
  *) fail "usage: bash launch/tpu_vm.sh [--dry-run] create|copy|run|resume|watch|delete [flags]" ;;
esac
