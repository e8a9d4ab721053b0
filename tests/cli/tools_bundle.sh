#!/bin/bash
# tools_bundle.sh BUNDLE.tar.zst... - a bundle must be readable and verifiable without mmretain.
# Uses only tar, zstd, sha256sum, jq and what every shell has.  Without arguments: the golden bundles.
set -eu -o pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || set -- "$here"/../unit/golden/mmr1-*.tar.zst
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
	echo "tools_bundle: $*" >&2
	exit 1
}

# hex digits on stdin -> SHA-256 of the bytes they stand for
sha_of_hex() {
	printf "$(sed 's/../\\x&/g')" | sha256sum | cut -c1-64
}

# Merkle root (RFC 6962) of the hexadecimal entries on stdin, one a line.
tree_root() {
	local -a level=() next=()
	local entry i
	while read -r entry; do
		level+=("$(printf %s "00$entry" | sha_of_hex)")
	done
	# Joining neighbours and carrying an odd last one up gives the same tree as splitting at powers of two.
	while [ ${#level[@]} -gt 1 ]; do
		next=()
		for ((i = 0; i + 1 < ${#level[@]}; i += 2)); do
			next+=("$(printf %s "01${level[i]}${level[i + 1]}" | sha_of_hex)")
		done
		[ "$i" -eq ${#level[@]} ] || next+=("${level[i]}")
		level=("${next[@]}")
	done
	echo "${level[0]}"
}

check_rows() { # FRAME OFFSET CLEN ROOT ROWS: one frame cut out of the file, its rows hashed with the salts of their owners
	local line owner salt n=0
	dd if="$bundle" iflag=skip_bytes,count_bytes skip="$2" count="$3" status=none | zstd -dcq > "$work/frame"
	while IFS= read -r line; do
		n=$((n + 1))
		# What is left of an erased row is its commitment.
		if [[ $line == '{"k":"erased",'* ]]; then
			jq -r .commit <<< "$line"
			continue
		fi
		# The owner column of the row's kind, as the row has it; nobody is "-".
		owner=$(jq -c --slurpfile s data/schema.json '. as $r | $s[0].kinds[] | select(.kind == $r.k) | .owner as $o |
			if $o == null then {owner: "-"}
			elif ($r | has($o + "!b64")) then {"owner!b64": $r[$o + "!b64"]}
			elif ($r[$o] // "") == "" then {owner: "-"} else {owner: $r[$o]} end' <<< "$line")
		salt=$(jq -r --argjson o "$owner" 'select(del(.salt) == $o) | .salt' salts.jsonl)
		[ -n "$salt" ] || fail "no salt for a row of frame $1"
		{ printf "$(sed 's/../\\x&/g' <<< "$salt")"; printf %s "$line"; } | sha256sum | cut -c1-64
	done < "$work/frame" > "$work/commits"
	[ "$(wc -l < "$work/commits")" -eq "$5" ] || fail "frame $1 has another number of rows"
	[ "$(tree_root < "$work/commits")" = "$4" ] || fail "frame $1 has another root"
}

for bundle; do
	bundle=$(cd "$(dirname "$bundle")" && pwd)/$(basename "$bundle")
	[ -f "$bundle" ] || fail "no bundle $bundle"
	rm -rf "$work/out"
	mkdir "$work/out"
	cd "$work/out"

	zstd -tq "$bundle" || fail "zstd finds $bundle broken"
	tar --zstd -xf "$bundle"
	[ "$(ls)" = "$(ls -d mmr1-*)" ] || fail "more than one folder in $bundle"
	top=$(ls)
	case $(basename "$bundle") in "$top"-*) ;; *) fail "folder $top does not fit the file name" ;; esac
	cd "$top"

	sha256sum --quiet -c manifest-sha256.txt
	sha256sum --quiet -c tagmanifest-sha256.txt
	[ "$(find data -type f | sort)" = "$(cut -c67- manifest-sha256.txt | sort)" ] || fail "manifest and folder differ"
	[ "$(sha256sum < manifest-sha256.txt | cut -c1-64)" = "$(jq -r .manifest_sha256 mmretain.json)" ] || fail "manifest digest"
	[ "$(sha256sum < tagmanifest-sha256.txt | cut -c1-64)" = "$(jq -r .tagmanifest_sha256 mmretain.json)" ] || fail "tagmanifest digest"
	[ "$(find data -type f -printf '%s\n' | jq -s 'add')" = "$(sed -n 's/^Payload-Oxum: \([0-9]*\)\..*/\1/p' bag-info.txt)" ] || fail "oxum"

	# Every byte before the last frames, as mmretain.json says.
	[ "$(head -c "$(jq .prefix_bytes mmretain.json)" "$bundle" | sha256sum | cut -c1-64)" = "$(jq -r .prefix_sha256 mmretain.json)" ] ||
		fail "prefix digest"

	# Every line is JSON of a known kind, and the counts are right.
	if ls data/threads/*.jsonl > /dev/null 2>&1; then
		cat data/threads/*.jsonl > "$work/rows"
	else
		: > "$work/rows"
	fi
	jq -e -n --slurpfile b data/bundle.json --slurpfile s data/schema.json '
		(reduce inputs as $r ({live: {}, erased: {}}; if $r.k == "erased" then .erased[$r.kind] += 1 else .live[$r.k] += 1 end)) as $n |
		($b[0].kinds | with_entries(select(.value > 0))) == $n.live and ($b[0].erased // {}) == $n.erased and
		([$s[0].kinds[].kind] | contains($n.live + $n.erased | keys))' \
		"$work/rows" > /dev/null || fail "counts per kind"
	[ "$(wc -l < "$work/rows")" -eq "$(jq .rows mmretain.json)" ] || fail "number of rows"

	# After an erasure what described the bundle before is there, and told the same of the rows.
	generation=$(jq '.generation // 1' mmretain.json)
	[ "$(grep -c '^{"k":"erased",' "$work/rows" || true)" -eq "$(jq '.erased // 0' mmretain.json)" ] || fail "number of erased rows"
	for ((g = 1; g < generation; g++)); do
		[ "$(jq -c '[.identity, .rows_sha256, .rows, .threads]' "history/mmretain-e$g.json")" = \
			"$(jq -c '[.identity, .rows_sha256, .rows, .threads]' mmretain.json)" ] || fail "generation $g had other rows"
	done

	# The digest over all rows is the tree over the frames' roots; one frame is checked row by row
	awk -F'\t' 'NR > 1 && $12 != "" {print $12}' frames.tsv > "$work/roots"
	if [ -s "$work/roots" ]; then
		[ "$(tree_root < "$work/roots")" = "$(jq -r .rows_sha256 mmretain.json)" ] || fail "digest of all rows"
		read -r no offset clen root rows < <(awk -F'\t' 'NR > 1 && $12 != "" {print $1, $2, $3, $12, $11; exit}' frames.tsv)
		check_rows "$no" "$offset" "$clen" "$root" "$rows"
		# ... and the first in which something was erased.
		while [ "$generation" -gt 1 ] && read -r no offset clen root rows; do
			dd if="$bundle" iflag=skip_bytes,count_bytes skip="$offset" count="$clen" status=none | zstd -dcq | grep -q '^{"k":"erased",' || continue
			check_rows "$no" "$offset" "$clen" "$root" "$rows"
			break
		done < <(awk -F'\t' 'NR > 1 && $12 != "" {print $1, $2, $3, $12, $11}' frames.tsv)
	fi

	# Attachments are named by their content.
	if [ -d data/files ]; then
		find data/files -type f -printf '%f  %p\n' | sha256sum --quiet -c - || fail "an attachment has the wrong name"
	fi
	echo "ok: $(basename "$bundle"): $(jq .rows mmretain.json) rows, $(jq .threads mmretain.json) threads, $(jq .blobs mmretain.json) attachments"
done
