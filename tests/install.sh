#!/usr/bin/env bash
# Install what building and testing need on Debian 12.  Asks nothing; does nothing when all is there.
#   tests/install.sh build    what the build and the quickstart need
#   tests/install.sh all      and what the tests need
set -euo pipefail
build="pkg-config ninja-build cmake gcc libc6-dev postgresql-15 libpq-dev libzstd-dev zstd libarchive-dev libyaml-dev check libssl-dev libcurl4-openssl-dev
  libjansson-dev libsqlite3-dev libtalloc-dev uthash-dev libmd4c-dev libsmartcols-dev libutf8proc-dev
  python3 python3-psycopg2 python3-yaml jq bsdextrautils git"
tests="clang libclang-rt-14-dev chromium strace systemd python3-seccomp openssl groff-base e2fsprogs"
packages=$build
[ "${1:-all}" = all ] && packages="$build $tests"

missing=""
for p in $packages; do
  dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

sudo=""
[ "$(id -u)" = 0 ] || sudo=sudo
echo "installing:$missing" >&2
install() { $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }
$sudo apt-get update -qq
# Our tests start their own server in a temporary folder: the package makes no cluster.  It asks this file, which is afterwards as it was.
conf=/etc/postgresql-common/createcluster.conf
case " $missing " in
*" postgresql-15 "*)
  install postgresql-common
  saved=$(mktemp)
  [ ! -e "$conf" ] || cat "$conf" >"$saved"
  there=$([ ! -e "$conf" ] || echo yes)
  put_back() {
    if [ -n "$there" ]; then $sudo tee "$conf" <"$saved" >/dev/null; else $sudo rm -f "$conf"; fi
    rm -f "$saved"
  }
  trap put_back EXIT
  echo 'create_main_cluster = false' | $sudo tee -a "$conf" >/dev/null
  ;;
esac
install $missing
