#!/usr/bin/env bash
# step.sh NAME COMMAND...: runs one step of a make target, says its name and its time, and keeps its exit code.
# With TOMBOLO_STEPS set to a file, a line per step goes there too.
set -uo pipefail

name=$1
shift
printf '\n\033[1m== %s\033[0m\n' "$name"
start=$SECONDS
"$@"
status=$?
took=$((SECONDS - start))
if [ "$status" = 0 ]; then outcome=ok; else outcome="FAILED ($status)"; fi
printf '== %s: %s, %d s\n' "$name" "$outcome" "$took"
if [ -n "${TOMBOLO_STEPS:-}" ]; then
  printf '%-28s %-14s %5d s\n' "$name" "$outcome" "$took" >>"$TOMBOLO_STEPS"
fi
exit "$status"
