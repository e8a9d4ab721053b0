/* bundle_describe.c - the texts that describe the bundle.  Nothing here reads a clock: the same rows give the same
 * bytes. */
#include "bundle_internal.h"

#include <string.h>

const char bagit_txt[] = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";

static void put(struct buf *b, const char *key, const char *value)
{
	codec_put_text(b, "", key, value, strlen(value));
	buf_puts(b, ",\n");
}

static void put_number(struct buf *b, const char *key, int64_t value)
{
	buf_printf(b, "\"%s\":%lld,\n", key, (long long)value);
}

static void put_time(struct buf *b, const char *key, int64_t ms)
{
	char text[TIME_TEXT];

	if (ms == 0) {
		buf_printf(b, "\"%s\":null,\n", key);
		return;
	}
	time_format(ms, text);
	put(b, key, text);
}

static void put_source(struct buf *b, const struct bundle_source *s)
{
	put(b, "rule", s->rule);
	put(b, "policy_sha256", s->policy_digest_hex);
	put(b, "team_id", s->team_id);
	put(b, "team", s->team_label);
	put_time(b, "cutoff", s->cutoff_ms);
	put_number(b, "cutoff_ms", s->cutoff_ms);
	put_time(b, "expires", s->expires_ms);
	put_number(b, "expires_ms", s->expires_ms);
	buf_printf(b, "\"held\":%s,\n", s->held ? "true" : "false");
	if (s->parts)
		buf_puts(b, "\"parts\":true,\n");
	put(b, "cluster", s->cluster_id);
	put(b, "database", s->database);
	put(b, "postgresql", s->pg_version);
	put(b, "schema_sha256", s->schema_digest_hex);
	put(b, "tool", s->tool_version);
}

void describe_bundle_json(struct bundle_writer *w, struct buf *b)
{
	buf_puts(b, "{\n\"format\":\"" "mmr1" "\",\n");
	put(b, "identity", w->identity);
	put_number(b, "seq", w->seq);
	put_source(b, &w->source);
	put(b, "previous_rows_sha256", w->previous_hex);
	put(b, "encoding", "UTF-8");
	put(b, "order", "channel id, createat of the root, root id; a thread is one range of lines");
	put(b, "frame_times", "posts");
	put_time(b, "first", w->min_ms);
	put_time(b, "last", w->max_ms);
	put_number(b, "threads", (int64_t)w->sum.threads);
	put_number(b, "rows", (int64_t)w->sum.rows);
	put_number(b, "posts", (int64_t)w->sum.posts);
	put_number(b, "row_bytes", (int64_t)w->sum.raw_bytes);
	buf_puts(b, "\"kinds\":{");
	for (size_t i = 0; i < w->n_kinds; i++)
		buf_printf(b, "%s\"%s\":%llu", i ? "," : "", w->kind[i].kind.kind, (unsigned long long)w->kind[i].rows);
	buf_puts(b, "},\n\"files\":{");
	for (size_t i = 0; i < FILE_STATES; i++)
		buf_printf(b, "%s\"%s\":%llu", i ? "," : "", file_states[i], (unsigned long long)w->n_files[i]);
	buf_puts(b, "},\n");
	buf_printf(b, "\"blobs\":%llu\n}\n", (unsigned long long)w->sum.blobs);
}

/* A tag file is lines of "Label: value": a value must not bring its own line ends. */
static void put_tag(struct buf *b, const char *label, const char *value)
{
	buf_printf(b, "%s: ", label);
	for (; *value; value++)
		buf_byte(b, (unsigned char)*value < 0x20 ? ' ' : *value);
	buf_byte(b, '\n');
}

static bool is_payload(const struct member *m)
{
	return strncmp(m->name, "data/", 5) == 0;
}

void describe_bag_info(struct bundle_writer *w, struct buf *b)
{
	char date[TIME_TEXT], oxum[64];
	uint64_t bytes = 0, n = 0;

	for (size_t i = 0; i < w->n_members; i++) {
		if (!is_payload(&w->member[i]))
			continue;
		bytes += w->member[i].bytes;
		n++;
	}
	time_format(w->source.cutoff_ms, date);
	date[10] = '\0';
	(void)snprintf(oxum, sizeof(oxum), "%llu.%llu", (unsigned long long)bytes, (unsigned long long)n); /* fits */
	put_tag(b, "Bag-Software-Agent", w->source.tool_version);
	put_tag(b, "Bagging-Date", date); /* of the cut-off */
	put_tag(b, "External-Identifier", w->identity);
	put_tag(b, "External-Description", "Archived chat threads of a Mattermost server, see README.txt");
	put_tag(b, "Internal-Sender-Identifier", w->source.rule);
	put_tag(b, "Payload-Oxum", oxum);
}

void describe_manifest(struct bundle_writer *w, struct buf *b, bool payload)
{
	char hex[DIGEST_HEX + 1];

	for (size_t i = 0; i < w->n_members; i++) {
		if (is_payload(&w->member[i]) != payload)
			continue;
		digest_hex(&w->member[i].sha256, hex);
		buf_printf(b, "%s  %s\n", hex, w->member[i].name);
	}
}

void describe_frames(struct bundle_writer *w, struct buf *b)
{
	char hex[DIGEST_HEX + 1];

	buf_puts(b, "frame\toffset\tclen\trlen\tmember\tfirst_channel\tlast_channel\tmin_ms\tmax_"
		    "ms\tthreads\trows\troot\n");
	for (size_t i = 0; i < w->out.n_frames; i++) {
		const struct frame_row *f = &w->out.frame[i];
		if (f->member == NO_MEMBER)
			continue;
		if (f->rows > 0)
			digest_hex(&f->root, hex);
		buf_printf(b, "%zu\t%llu\t%u\t%u\t%s\t%s\t%s\t%lld\t%lld\t%u\t%u\t%s\n", i,
			   (unsigned long long)f->offset, f->clen, f->rlen, w->member[f->member].name, f->first_channel,
			   f->last_channel, (long long)f->min_ms, (long long)f->max_ms, f->threads, f->rows,
			   f->rows > 0 ? hex : "");
	}
}

static void put_hex(struct buf *b, const char *key, const struct digest *d)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(d, hex);
	put(b, key, hex);
}

/* The last member.  It holds the digest of every byte of the file before it, and its own end holds the digest of
 * itself. */
void describe_mmretain_json(struct bundle_writer *w, struct buf *b)
{
	struct digest d;
	char hex[DIGEST_HEX + 1];

	buf_puts(b, "{\n\"format\":\"mmr1\",\n");
	put(b, "identity", w->identity);
	put(b, "hash", "sha256");
	put_hex(b, "rows_sha256", &w->sum.rows_digest);
	put_number(b, "threads", (int64_t)w->sum.threads);
	put_number(b, "rows", (int64_t)w->sum.rows);
	put_number(b, "posts", (int64_t)w->sum.posts);
	put_number(b, "blobs", (int64_t)w->sum.blobs);
	put_number(b, "row_bytes", (int64_t)w->sum.raw_bytes);
	if (w->generation > 1) {
		put_number(b, "generation", w->generation);
		put_number(b, "erased", (int64_t)w->sum.erased);
	}
	put_hex(b, "manifest_sha256", &w->manifest);
	put_hex(b, "tagmanifest_sha256", &w->tagmanifest);
	put(b, "previous_rows_sha256", w->previous_hex);
	buf_printf(b, "\"frames_tsv\":[%u,%u],\n\"tagmanifest\":[%u,%u],\n", w->frames_at, w->frames_n,
		   w->tagmanifest_at, w->tagmanifest_n);
	put_number(b, "prefix_bytes", (int64_t)w->out.offset);
	hash_copy(w->member_hash, w->out.file_hash); /* no member is open */
	hash_final(w->member_hash, &d);
	put_hex(b, "prefix_sha256", &d);
	hash_bytes(w->hash, b->data, b->len, &d);
	digest_hex(&d, hex);
	buf_printf(b, "\"check\":\"%s\"\n}\n", hex);
}
