#!/usr/bin/env bash
# Install, build and run every test.
#   tests/run.sh            the normal run (dev build, then the unit tests again under ASan and UBSan)
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
ctest --test-dir build/dev -j "$jobs" || status=$?

log "build and unit tests with sanitizers"
cmake --preset asan >/dev/null
cmake --build --preset asan -j "$jobs"
ctest --test-dir build/asan -j "$jobs" -L unit || status=$?

# The last lines: how many tests ran, over both builds.
total=0 failed=0
for b in build/dev build/asan; do
  n=$(grep -c '^[0-9]*/[0-9]* Test:' "$b/Testing/Temporary/LastTest.log" || true)
  f=0
  [ -e "$b/Testing/Temporary/LastTestsFailed.log" ] && [ "$status" != 0 ] && f=$(wc -l <"$b/Testing/Temporary/LastTestsFailed.log")
  total=$((total + n)) failed=$((failed + f))
done
[ "$status" = 0 ] || [ "$failed" -gt 0 ] || failed=1
log "done"
echo "$((total - failed)) passed, $failed failed"
exit "$status"
