# shellcheck shell=bash
# Functions that the scripts here share by sourcing this file. With `--dry-run` as its first argument a script only
# prints its commands, ready to be pasted.

# Runs a command, or prints it in a dry run.
run() {
  if [[ -n $dry_run ]]; then show "$@"; else "$@"; fi
}

# Like `run`, for a script's last command: `exec` replaces the shell, so that signals reach the command.
hand_over() {
  if [[ -n $dry_run ]]; then show "$@"; else exec "$@"; fi
}

# Prints words with the quotes that the shell needs.
show() {
  local word line=
  for word in "$@"; do
    [[ $(printf %q "$word") == "$word" ]] || word=${word@Q}
    line+=" $word"
  done
  echo "${line# }"
}

fail() {
  echo "error: $*" >&2
  exit 1
}

# need NAME=EXAMPLE ...: fails unless all of these variables are set.
need() {
  local example name missing=()
  for example in "$@"; do
    name=${example%%=*}
    [[ -n "${!name-}" ]] || missing+=("$example")
  done
  ((${#missing[@]} == 0)) || fail "variables that must be set, with examples: ${missing[*]}"
}

dry_run=
if [[ "${1-}" == --dry-run ]]; then
  dry_run=1
  shift # of the script that sources this
elif [[ " $* " == *" --dry-run "* ]]; then
  fail "--dry-run must be the first argument"
fi
