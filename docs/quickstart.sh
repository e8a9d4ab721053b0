#!/usr/bin/env bash
# From a fresh Debian 12 to an archived and cleaned Mattermost database, in a folder of its own.
#   docs/quickstart.sh [FOLDER]     (default: a new folder below /tmp; it stays, to be looked at)
# Outside of the folder it installs packages (tests/install.sh build) and builds in build/release; with MMRETAIN=PROGRAM, an mmretain that is
# there already, it does neither.
set -euo pipefail
dir=$(realpath -m -- "${1:-$(mktemp -d /tmp/mmretain-quickstart-XXXXXX)}")
cd "$(dirname "$0")/.."
repo=$PWD
bin=$(realpath -m -- "${MMRETAIN:-$repo/build/release/engine/cli/mmretain}")
python=/usr/bin/python3

# How to go on in the folder, when its server is stopped.
again() {
  cat <<END
  eval "\$($python $repo/tests/support/cluster.py start $dir/pg)"     # the server, and PGHOST, PGPORT, PGUSER for psql
  export MM_FILESETTINGS_DIRECTORY=$dir/data                        # where the attachments are
  export PATH=$(dirname "$bin"):\$PATH
  cd $dir && mmretain doctor -c policy.yaml
  $python $repo/tests/support/cluster.py stop $dir/pg --keep          # without --keep the database is removed
END
}

if [ -e "$dir/pg" ] || [ -e "$dir/policy.yaml" ]; then
  echo "quickstart.sh: $dir has been used before; name a new folder, or go on in it:" >&2
  again >&2
  exit 2
fi
[ -n "${MMRETAIN:-}" ] || tests/install.sh build
mkdir -p "$dir"
chmod 755 "$dir" # as root the server runs as another user
step() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
show() { printf '\033[2m$ %s\033[0m\n' "$*"; }

if [ -z "${MMRETAIN:-}" ]; then
  step "build"
  cmake --preset release >/dev/null
  cmake --build --preset release --target mmretain | tail -1
fi
PATH=$(dirname "$bin"):$PATH

step "start a private PostgreSQL in $dir and load a small Mattermost database"
eval "$($python tests/support/cluster.py start "$dir/pg")"
trap '$python "$repo/tests/support/cluster.py" stop "$dir/pg" --keep >/dev/null 2>&1 || true' EXIT
createdb mattermost
$python tests/support/seed.py --db "host=$PGHOST port=$PGPORT user=$PGUSER dbname=mattermost" --posts 10000 --seed 1 \
  --data "$dir/data" --blobs all
export MM_FILESETTINGS_DIRECTORY=$dir/data

cat >"$dir/policy.yaml" <<YAML
version: 1
database:
  url: "postgresql://$PGUSER@/mattermost?host=$PGHOST&port=$PGPORT"
archive:
  store: $dir/archive
throttle:
  blob_grace: 1s    # nobody writes here meanwhile; a live server is given 30 s
rules:
  - name: everything-else
    description: Messages are kept for three years after the last reply
    match: {}
    keep: {for: 3y, from: last_reply}
    spare: {pinned: thread, flagged: yes}
    floor: 30d
    guard: {threads: 100000, percent: 60}
  - name: busy-channels
    description: Off-topic keeps its newest messages only
    match: {channel: off-topic}
    keep: forever
    limit: {per: channel, posts: 500}
    floor: 30d
    guard: {threads: 100000, percent: 90}
departed_users:
  after: 90d
YAML
chmod 600 "$dir/policy.yaml"
cd "$dir"
count() { psql -Atc "SELECT count(*) FROM posts" mattermost; }

step "what the policy says, and what it would do"
show "mmretain check -c policy.yaml --db"
mmretain check -c policy.yaml --db
show "mmretain init -c policy.yaml"
mmretain init -c policy.yaml
show "mmretain plan -c policy.yaml --out tonight.plan"
mmretain plan -c policy.yaml --out tonight.plan | tee plan.txt
before=$(count)
psql -A -F '|' -P footer=off -c "SELECT username, nickname, firstname, lastname, email, position, timezone->>'automaticTimezone' AS timezone, lastlogin
  FROM users WHERE username = '$(mmretain plan -q -c policy.yaml --json | jq -r '[.departed_users.accounts[] | select(.result == "due")][0].account')'" \
  mattermost >before-user.txt

step "archive, verify, delete; take personal data off the accounts of those who left"
show "mmretain run -c policy.yaml --yes"
mmretain run -q -c policy.yaml --yes >run.txt
tail -6 run.txt
after=$(count)
planned=$(mmretain report last -c policy.yaml --json | jq .plan.due_posts)
echo "posts in the database: $before before, $after now; the plan said $planned"
[ $((before - after)) = "$planned" ] || { echo "the database is not smaller by the plan's number" >&2; exit 1; }

step "the archive, with standard tools alone"
# The largest bundle tells most.
bundle=$(find archive/bundles -name '*.tar.zst' -printf '%s %p\n' | sort -n | tail -1 | cut -d' ' -f2-)
mkdir -p opened
show "tar --zstd -xf $bundle -C opened && sha256sum -c manifest-sha256.txt"
tar --zstd -xf "$bundle" -C opened
(cd opened/mmr1-* && sha256sum --quiet -c manifest-sha256.txt && echo "every file has the digest of the manifest")
show "jq: the first three messages in it"
cat opened/mmr1-*/data/threads/*.jsonl | jq -r 'select(.k == "post") | "\(.createat/1000 | todate)  \(.message | gsub("\\s+"; " ") | .[0:70])"' 2>/dev/null | head -3 || true

step "the deletion protocol"
show "mmretain report last -c policy.yaml"
mmretain report last -c policy.yaml >protocol.txt
head -20 protocol.txt
show "mmretain verify -c policy.yaml"
mmretain verify -q -c policy.yaml >verify.txt && echo "every bundle and the ledger verify"

step "an audit request: a word, a thread, a page"
case=(--case 26/17 --reason "quickstart: request of the data protection officer")
# The longest archived thread with a picture, and a long word that somebody wrote in it.
thread=$(mmretain find -q -c policy.yaml "${case[@]}" --limit 0 --json --file-name '*.[jp][pn]g' | jq -r '.hits[].thread' | sort -u |
  while read -r id; do
    echo "$(mmretain show -q -c policy.yaml "${case[@]}" --json "$id" | jq -rs '[.[] | select(.k == "post")] | length') $id"
  done | sort -n | tail -1 | cut -d' ' -f2)
word=$(mmretain show -q -c policy.yaml "${case[@]}" --json "$thread" | jq -r 'select(.k == "post") | .message // ""' |
  grep -oE '\b[a-zäöü]{9,}\b' | sort | uniq -c | sort -rn | awk 'NR == 1 {print $2}')
show "mmretain find -c policy.yaml --case 26/17 --reason '...' $word"
mmretain find -c policy.yaml "${case[@]}" --limit 3 "$word"
show "mmretain show -c policy.yaml --case 26/17 --reason '...' $thread"
mmretain show -c policy.yaml "${case[@]}" "$thread" >thread.txt
head -12 thread.txt
show "mmretain export -c policy.yaml --case 26/17 --reason '...' $thread --out thread.html"
mmretain export -c policy.yaml "${case[@]}" "$thread" --out thread.html
show "mmretain export -c policy.yaml --case 26/17 --reason '...' --words $word --out case-26-17.tar.gz"
mmretain export -c policy.yaml "${case[@]}" --words "$word" --out case-26-17.tar.gz
show "tar -xf case-26-17.tar.gz && cd case-26-17 && sha256sum -c manifest-sha256.txt"
tar -xf case-26-17.tar.gz
(cd case-26-17 && sha256sum --quiet -c manifest-sha256.txt && echo "every file of the pack has the digest of its manifest")
show "mmretain report --access -c policy.yaml"
mmretain report --access -c policy.yaml | tail -4

step "a thread back into the database, and held there"
show "mmretain restore -c policy.yaml --case 26/17 --reason '...' $thread --yes"
mmretain restore -q -c policy.yaml "${case[@]}" "$thread" --yes
show "mmretain hold list -c policy.yaml"
mmretain hold list -c policy.yaml

step "a departed user, before and after"
# The one that left first; before-user.txt was taken before the run.
person=$(psql -Atc "SELECT username FROM users WHERE email LIKE '%@departed.invalid' ORDER BY deleteat LIMIT 1" mattermost)
show "mmretain explain -c policy.yaml $person"
mmretain explain -c policy.yaml "$person"
columns="SELECT username, nickname, firstname, lastname, email, position, timezone->>'automaticTimezone' AS timezone, lastlogin
  FROM users WHERE username ="
echo "before:"
column -t -s '|' before-user.txt
echo "after (the names stay, so that conversations can still be read):"
psql -A -F '|' -P footer=off -c "$columns '$person'" mattermost | column -t -s '|'

step "done"
cat <<END
Look at:
  $dir/policy.yaml      the policy
  $dir/plan.txt         what was going to happen
  $dir/protocol.txt     the deletion protocol
  $dir/archive          the archive: README.txt says how to read it without mmretain
  $dir/opened           one bundle, unpacked
  $dir/thread.html      the page for the auditor: open it in a browser
  $dir/case-26-17.tar.gz  the same for every thread with that word, as one file with its manifest
END

echo
echo "The server stops now; to go on in the folder:"
again
