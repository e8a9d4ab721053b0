#!/usr/bin/env bash
# Install, build and run every test.
#   tests/run.sh            the normal run (dev build, then the unit tests again under ASan and UBSan, then short fuzzing)
#   MMR_LONG=1 tests/run.sh longer campaigns (more random cases, kills and fuzzing)
set -euo pipefail
cd "$(dirname "$0")/.."
tests/install.sh all

jobs=$(nproc)
export CTEST_OUTPUT_ON_FAILURE=1
log() { printf '\n== %s\n' "$*"; }

log "build (dev: warnings are errors, fault points in)"
cmake --preset dev >/dev/null
cmake --build --preset dev -j "$jobs"

log "tests"
status=0
ctest --test-dir build/dev -j $((2 * jobs)) || status=$? # they wait for locks, pauses and each other half of the time

log "build and unit tests with sanitizers"
cmake --preset asan >/dev/null
cmake --build --preset asan -j "$jobs"
ctest --test-dir build/asan -j "$jobs" -L unit || status=$?

log "fuzzing"
fuzz=$(mktemp)
trap 'rm -f "$fuzz"' EXIT
fuzz_status=0
tests/fuzz/run.sh "${MMR_FUZZ_SECONDS:-$([ "${MMR_LONG:-}" = 1 ] && echo 300 || echo 40,15)}" | tee "$fuzz" || fuzz_status=$?

# The last lines: how many tests ran, over both builds, and each fuzz target as one.
read -r fuzz_passed fuzz_failed < <(sed -n 's/^fuzz: \([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$fuzz"; echo 0 1)
total=$((fuzz_passed + fuzz_failed)) failed=$fuzz_failed
for b in build/dev build/asan; do
  n=$(grep -c '^[0-9]*/[0-9]* Test:' "$b/Testing/Temporary/LastTest.log" || true)
  f=0
  [ -e "$b/Testing/Temporary/LastTestsFailed.log" ] && [ "$status" != 0 ] && f=$(wc -l <"$b/Testing/Temporary/LastTestsFailed.log")
  total=$((total + n)) failed=$((failed + f))
done
[ "$fuzz_status" = 0 ] || status=$fuzz_status
[ "$status" = 0 ] || [ "$failed" -gt 0 ] || failed=1
log "done"
echo "$((total - failed)) passed, $failed failed"
exit "$status"
