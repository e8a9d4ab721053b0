#!/usr/bin/env bash
# Build the fuzz targets and run each for some seconds; a crash is kept and named.
#   tests/fuzz/run.sh [SECONDS[,OTHERS]] [TARGET...]     20 seconds, every target; OTHERS: for those not foremost
# What is found to be interesting is kept in build/fuzz/corpus.  The last line is `fuzz: N passed, N failed`.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-20}
others=${seconds#*,} seconds=${seconds%,*}
foremost="bundle_fuzz catalog_row_fuzz audit_markdown_fuzz audit_url_fuzz" # bundle reader with its manifests, row decoders, what makes a page
shift $(($# > 0 ? 1 : 0))
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz --target fuzz -j "$(nproc)" >build/fuzz/build.log 2>&1 || { tail -20 build/fuzz/build.log >&2; exit 1; }
if [ $# = 0 ]; then
  # shellcheck disable=SC2086
  set -- $foremost
  for f in tests/fuzz/*_fuzz.c; do
    name=$(basename "$f" .c)
    [[ " $foremost " == *" $name "* ]] || set -- "$@" "$name"
  done
fi

# Folders of seeds of a target, beside its own.
seeds() {
  case $1 in
    policy_fuzz) echo policies tests/cli/bad-policies ;;
    bundle_fuzz) echo tests/unit/golden ;;
  esac
}

one() { # TARGET: one line about it; 0 when it survived
  local target=$1 work=build/fuzz/corpus/$1 log=build/fuzz/$1.log begin=$SECONDS time=$others runs
  [[ " $foremost " != *" $1 "* ]] || time=$seconds
  local -a from=()
  mkdir -p "$work" build/fuzz/crashes
  [ ! -d "tests/fuzz/corpus/$1" ] || from+=("tests/fuzz/corpus/$1")
  # shellcheck disable=SC2207
  from+=($(seeds "$1"))
  if ASAN_OPTIONS=detect_leaks=1 "build/fuzz/tests/fuzz/$target" -max_total_time="$time" -max_len=65536 -timeout=30 -rss_limit_mb=2048 \
    -print_final_stats=1 -artifact_prefix="build/fuzz/crashes/$target-" "$work" ${from[@]+"${from[@]}"} >"$log" 2>&1; then
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    echo "ok    $target: $runs inputs in $((SECONDS - begin)) s"
  else
    echo "FAIL  $target: $(grep -m1 -E 'ERROR|SUMMARY|runtime error' "$log" || tail -1 "$log"); see $log and build/fuzz/crashes"
    return 1
  fi
}

# As many at once as there are processors.
pids=() passed=0 failed=0
settle() {
  if wait "$1"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}
for target; do
  one "$target" &
  pids+=($!)
  if [ ${#pids[@]} -ge "$(nproc)" ]; then
    settle "${pids[0]}"
    pids=("${pids[@]:1}")
  fi
done
for pid in ${pids[@]+"${pids[@]}"}; do settle "$pid"; done
echo "fuzz: $passed passed, $failed failed"
[ "$failed" = 0 ]
