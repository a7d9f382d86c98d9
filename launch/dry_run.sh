# shellcheck shell=bash
# What the scripts here share; they source it. With `--dry-run` as its first argument a script does nothing but print
# its commands, to be pasted as they are.

# Does a command, or prints it.
run() {
  if [[ -n $dry_run ]]; then show "$@"; else "$@"; fi
}

# The same for a script's last command, which takes the script's place, so that signals reach it.
hand_over() {
  if [[ -n $dry_run ]]; then show "$@"; else exec "$@"; fi
}

# Prints words as the shell wants them, with quotes where they are needed.
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

# need NAME=EXAMPLE ...: all of these variables must be set.
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
