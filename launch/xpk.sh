#!/usr/bin/env bash
# Runs on TPUs of a GKE cluster, as a workload of XPK (flags of xpk 1.16). XPK copies the working tree, except for
# what .dockerignore names, on top of the image.
# Usage: bash launch/xpk.sh [--dry-run] [flags of the training program, e.g. --config.env.num_envs=16]
#   EDELINE_CLUSTER, EDELINE_ZONE, EDELINE_PROJECT   which cluster
#   EDELINE_WORKLOAD                                 a new name for the workload
#   EDELINE_ACCELERATOR                              e.g. v5litepod-16
#   EDELINE_CONFIG                                   e.g. configs/atari.py:breakout
#   EDELINE_WORKDIR                                  gs://BUCKET/FOLDER of the run
#   EDELINE_IMAGE                                    base image with Python 3.11 or newer (default: python:3.12)
# A workload that was told to stop saves and counts as done; start it under a new name to resume the run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source launch/dry_run.sh

need EDELINE_CLUSTER=my-cluster EDELINE_ZONE=us-west4-a EDELINE_PROJECT=my-project EDELINE_WORKLOAD=breakout-1 \
  EDELINE_ACCELERATOR=v5litepod-16 EDELINE_CONFIG=configs/atari.py:breakout EDELINE_WORKDIR=gs://my-bucket/breakout
[[ $EDELINE_WORKDIR == gs://* ]] ||
  fail "EDELINE_WORKDIR=$EDELINE_WORKDIR: the hosts of a slice share no disk; it must be gs://BUCKET/FOLDER"

train=$(show .venv/bin/python -m edeline_jax.train --config="$EDELINE_CONFIG" --distributed=on \
  --workdir="$EDELINE_WORKDIR" "$@")

# `exec`, because XPK sends SIGTERM to the shell that its command runs in.
hand_over xpk workload create --cluster="$EDELINE_CLUSTER" --zone="$EDELINE_ZONE" --project="$EDELINE_PROJECT" \
  --workload="$EDELINE_WORKLOAD" --tpu-type="$EDELINE_ACCELERATOR" --num-slices=1 \
  --base-docker-image="${EDELINE_IMAGE:-python:3.12}" --script-dir=. \
  --max-restarts=10 --termination-grace-period-seconds=120 \
  --command="EDELINE_EXTRAS=tpu,gcs bash launch/environment.sh && exec $train"
