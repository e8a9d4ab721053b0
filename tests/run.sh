#!/usr/bin/env bash
# Install, build and run every test.
#   tests/run.sh            the normal run (dev build, then the unit tests and some with a database again under ASan and UBSan, then short fuzzing)
#   MMR_LONG=1 tests/run.sh longer campaigns (more random cases, kills and fuzzing, larger worlds)
# Some tests need root and rights that a container may not have.  Where everything is there (complete), a test that is skipped has
# failed; elsewhere the last lines name what was skipped.  MMR_NO_SKIP=1 or 0 decides otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."
tests/install.sh all

jobs=$(nproc)
export CTEST_OUTPUT_ON_FAILURE=1
log() { printf '\n== %s\n' "$*"; }

# Root, tracing, mounting, loop devices: says what is missing.
complete() {
  local image ok=1
  [ "$(id -u)" = 0 ] || { echo "not root" && return 1; }
  strace -qq -o /dev/null true || { echo "strace may not trace" && ok=0; }
  unshare --mount --propagation private mount -t tmpfs tmpfs /mnt || { echo "nothing may be mounted" && ok=0; }
  image=$(mktemp) && truncate -s 1M "$image" && mkfs.ext4 -qF "$image" &&
    unshare --mount --propagation private mount -o loop "$image" /mnt || { echo "no loop device" && ok=0; }
  rm -f "$image"
  [ "$ok" = 1 ]
}
missing=$(complete 2>/dev/null) && no_skip=1 || no_skip=0
export MMR_NO_SKIP=${MMR_NO_SKIP:-$no_skip}
[ "$MMR_NO_SKIP" = 1 ] || log "tests may be skipped here: ${missing//$'\n'/, }"

log "build (dev: warnings are errors, fault points in)"
cmake --preset dev >/dev/null
cmake --build --preset dev -j "$jobs"

# BUILD WORD...: its tests; what came of them is in BUILD/tests.xml, with the whole output of each.
status=0
check() {
  local build=$PWD/$1 most=1000000000
  shift
  rm -f "$build/tests.xml"
  ctest --test-dir "$build" --output-junit "$build/tests.xml" --test-output-size-passed $most --test-output-size-failed $most "$@" || status=$?
}

log "tests"
check build/dev -j $((2 * jobs)) # they wait for locks, pauses and each other half of the time

log "build with sanitizers: unit tests, and some with a database"
cmake --preset asan >/dev/null
cmake --build --preset asan -j "$jobs"
check build/asan -j $((2 * jobs)) -L 'unit|sanitize'

log "fuzzing"
fuzz=$(mktemp)
trap 'rm -f "$fuzz"' EXIT
fuzz_status=0
tests/fuzz/run.sh "${MMR_FUZZ_SECONDS:-$([ "${MMR_LONG:-}" = 1 ] && echo 300 || echo 15,4)}" | tee "$fuzz" || fuzz_status=$?
[ "$fuzz_status" = 0 ] || status=$fuzz_status

# The last lines: what failed and what was skipped, and how many tests there were, over both builds, and each fuzz target as one.
more=$(sed -n 's/^fuzz: \([0-9]*\) passed, \([0-9]*\) failed$/\1,\2/p' "$fuzz")
log "done"
/usr/bin/python3 tests/support/summary.py --more "${more:-0,1}" build/dev/tests.xml build/asan/tests.xml || status=$?
exit "$status"
