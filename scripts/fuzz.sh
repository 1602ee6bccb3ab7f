#!/usr/bin/env bash
# Fuzzes everything that reads what a client wrote: SECONDS_EACH (60) for each target, or for those named as arguments.
# Begins with fuzz/corpus; what is found on the way is kept in fuzz/target and tried again the next time. SEED repeats a run.
set -euo pipefail
# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"

cargo_fuzz_version=0.13.2
seconds=${SECONDS_EACH:-60}
seed=${SEED:-$RANDOM}
fuzz_dir=$root_dir/fuzz
targets=("$@")
[ $# -gt 0 ] || targets=(url fetchxml batch json)

ensure_cargo_fuzz() {
  PATH=$cache_dir/bin:$PATH
  if have cargo-fuzz; then return; fi
  say "Installing cargo-fuzz $cargo_fuzz_version into $cache_dir"
  quietly cargo install cargo-fuzz --version "$cargo_fuzz_version" --locked --root "$cache_dir"
}

# No sanitizer: the code has nothing unsafe in it, and without one a stable compiler is enough.
cargo_fuzz() {
  (cd "$fuzz_dir" && CARGO_TARGET_DIR=$fuzz_dir/target RUSTC_BOOTSTRAP=1 cargo fuzz "$@")
}

# Runs one target and shows how far it is every ten seconds.
run_target() {
  local target=$1 log=$fuzz_dir/target/$1.log found=$fuzz_dir/target/corpus/$1 artifacts=$fuzz_dir/artifacts/$1
  local dictionary=$fuzz_dir/dictionaries/$1.dict status=0 start=$SECONDS
  mkdir -p "$found" "$artifacts"
  cargo_fuzz run -s none --fuzz-dir . "$target" "$found" "corpus/$target" -- \
    -max_total_time="$seconds" -seed="$seed" -max_len=16384 -timeout=10 -rss_limit_mb=1024 -use_value_profile=1 \
    -dict="$dictionary" -artifact_prefix="$artifacts/" -print_final_stats=1 >"$log" 2>&1 &
  local pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 1
    if [ $(((SECONDS - start) % 10)) = 0 ]; then
      printf '  %-10s %3d s  %s\n' "$target" $((SECONDS - start)) "$(grep -a '^#' "$log" | tail -n 1 | cut -c1-100)"
    fi
  done
  wait "$pid" || status=$?
  return "$status"
}

reproducer() { sed -n 's/.*Test unit written to //p' "$fuzz_dir/target/$1.log" | tail -n 1; }

ensure_cargo_fuzz
say "Building the targets"
cargo_fuzz build -s none --fuzz-dir . 2>&1 | tail -n 3
say "Fuzzing ${targets[*]}, $seconds s each, seed $seed"
summary=() failed=
for target in "${targets[@]}"; do
  if run_target "$target"; then outcome=ok; else outcome=FAILED failed=yes; fi
  log=$fuzz_dir/target/$target.log
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
  summary+=("$(printf '%-10s %-7s %10s inputs' "$target" "$outcome" "${runs:-?}")")
  if [ "$outcome" = FAILED ]; then
    tail -n 40 "$log"
    summary+=("           reproducer: $(reproducer "$target" | grep . || echo "none was written; see $log")")
  fi
done
printf '\n'
printf '%s\n' "${summary[@]}"
[ -z "$failed" ]
