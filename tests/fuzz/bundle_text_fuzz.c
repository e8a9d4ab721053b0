/*
 * bundle_text_fuzz.c - the texts that describe a bundle, each given to its parser under checksums that are made right
 * here.
 *
 * Whoever wants to harm a reader can compute checksums; a fuzzer that only mutates files cannot, and so bundle_fuzz
 * hardly sees what comes behind them.  Input: one member as it is in a bundle, which every parser gets.  With NUL bytes
 * in it: data/schema.json, salts.jsonl and rows, one behind the other.
 */
#include "bundle_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FRAMES = 256, MEMBERS = 256 };

static void must(bool sound)
{
	if (!sound)
		abort();
}

/* A parser says what is wrong, and that the file is. */
static bool sound(int rc, const struct err *err)
{
	must(rc >= 0 || (rc == -ERR_VERIFY && err->msg[0]));
	return rc >= 0;
}

/* A reader over a file that is one frame, with this text; all its frames are that one. */
static struct bundle_reader *reader(void *ctx, const char *text, size_t len)
{
	struct bundle_reader *r = NULL;
	struct buf frame;
	struct err err;
	int fd = memfd_create("bundle", MFD_CLOEXEC);

	buf_init(&frame, ctx, 2 * len + 4096);
	zc_stored_frame(zc_new(ctx), &frame, text, len);
	must(fd >= 0 && !frame.overflow && file_write_all(fd, frame.data, frame.len, "memory", &err) == 0 &&
	     reader_new(ctx, fd, "memory", &r, &err) == 0);
	r->pos = mem_array(r, struct frame_pos, FRAMES);
	r->n_pos = FRAMES;
	for (size_t i = 0; i < FRAMES; i++)
		r->pos[i] = (struct frame_pos){0, (uint32_t)frame.len, (uint32_t)len};
	return r;
}

/* ---- mmretain.json ---- */

static void fuzz_trailer(void *ctx, const char *text, size_t len)
{
	static const char key[] = "\"check\":\"";
	const char *end = text;
	char hex[DIGEST_HEX + 1];
	struct bundle_reader *r;
	struct digest d;
	struct err err = {0};
	struct buf b;

	for (const char *p = text; (p = memmem(p, (size_t)(text + len - p), key, sizeof(key) - 1)); p++)
		end = p;
	buf_init(&b, ctx, len + 256);
	buf_put(&b, text, end > text ? (size_t)(end - text) : len);
	hash_bytes(hash_new(ctx), b.data ? b.data : "", b.len, &d);
	digest_hex(&d, hex);
	buf_printf(&b, "%s%s\"\n}\n", key, hex);
	r = reader(ctx, b.data, b.len);
	if (!sound(trailer_load(r, &err), &err))
		return;
	const struct trailer *t = &r->trailer;
	must(t->frames_at + (uint64_t)t->frames_n <= FRAMES &&
	     t->tagmanifest_at + (uint64_t)t->tagmanifest_n <= FRAMES && t->generation >= 1 &&
	     bundle_name_plain(t->identity, sizeof(t->identity) - 1) &&
	     trailer_precedes(t, b.data, b.len, t->generation));
}

/* ---- frames.tsv ---- */

/* The frames lie where the text says. */
static void place_frames(struct bundle_reader *r, const char *text, size_t len)
{
	const char *end = text + len;

	r->size = UINT64_C(1) << 50;
	for (const char *p = memchr(text, '\n', len), *nl; p && ++p < end; p = nl) {
		unsigned long long no, offset, clen, rlen;

		if ((nl = memchr(p, '\n', (size_t)(end - p))) &&
		    sscanf(p, "%llu\t%llu\t%llu\t%llu", &no, &offset, &clen, &rlen) == 4 && no < FRAMES - 1)
			r->pos[no] = (struct frame_pos){offset, (uint32_t)clen, (uint32_t)rlen};
	}
	r->trailer.frames_at = FRAMES - 1;
	r->trailer.frames_n = 1;
}

static void fuzz_frames(void *ctx, const char *text, size_t len)
{
	struct bundle_reader *r = reader(ctx, text, len);
	struct err err = {0};
	const char *line;
	size_t at, line_len;

	place_frames(r, text, len);
	if (!sound(frames_load(r, &err), &err))
		return;
	r->at = SIZE_MAX;
	for (size_t i = 0; i < bundle_frames(r); i++) {
		const struct bundle_frame *f = bundle_frame_at(r, i);

		must(frames_find(r, f->member, &at) > 0 && strcmp(r->frame[at].member, f->member) == 0 &&
		     f->no < r->n_pos && (i == 0 || f->no > r->frame[i - 1].no));
	}
	must(frames_find(r, "", &at) == 0);
	for (int i = 0; i < 8 && bundle_read_row(r, &line, &line_len, &err) == 1; i++)
		;
}

/* ---- manifests, counts, what a bundle holds ---- */

/* The members that the text names, so that its names decide. */
static size_t members(void *ctx, const char *text, size_t len, struct member *to)
{
	const char *end = text + len;
	size_t n = 0;

	for (const char *p = text, *nl; n < MEMBERS && (nl = memchr(p, '\n', (size_t)(end - p))); p = nl + 1) {
		if (nl - p < DIGEST_HEX + 3 || !hex_decode(p, DIGEST_BYTES, to[n].sha256.b))
			continue;
		to[n].bytes = (uint64_t)(nl - p);
		to[n++].name = mem_strndup(ctx, p + DIGEST_HEX + 2, (size_t)(nl - p) - DIGEST_HEX - 2);
	}
	to[n] = (struct member){.name = mem_strdup(ctx, "tagmanifest-sha256.txt")};
	to[n + 1] = (struct member){.name = mem_strdup(ctx, "mmretain.json")};
	return n + 2;
}

static void fuzz_manifest(void *ctx, const char *text, size_t len)
{
	struct member m[MEMBERS + 2];
	size_t n = members(ctx, text, len, m);
	unsigned long long bytes = 0, files = 0;
	struct err err = {0};
	char info[96];

	for (size_t i = 0; i < n; i++) {
		bytes += strncmp(m[i].name, "data/", 5) == 0 ? m[i].bytes : 0;
		files += strncmp(m[i].name, "data/", 5) == 0;
	}
	snprintf(info, sizeof info, "\nPayload-Oxum: %llu.%llu\n", bytes, files);
	(void)sound(bag_check(m, n, text, len, "", 0, info, strlen(info), &err), &err);
	err_clear(&err);
	(void)sound(bag_check(m, n, "", 0, text, len, text, len, &err), &err);
}

static void fuzz_about(void *ctx, const char *text, size_t len)
{
	static struct bundle_kind kind[] = {{.kind = "post"}, {.kind = "reaction"}, {.kind = "thread"}};
	uint64_t rows[] = {171, 55, 74}, erased[] = {0, 0, 0}; /* of the golden bundle */
	const struct row_rules rules = {.kind = kind, .n_kinds = ARRAY_LEN(kind)};
	const struct row_sum by_kind = {.kind = rows, .erased = erased};
	const struct bundle_check sum = {.threads = 120, .rows = 300, .posts = 171, .raw_bytes = 60044, .blobs = 3};
	const uint64_t files[FILE_STATES] = {3, 0, 0, 1};
	struct bundle_frame frame = {.no = 0, .member = "data/bundle.json"};
	struct named named = {frame.member, 0};
	struct bundle_reader *r = reader(ctx, text, len);
	struct err err = {0};
	int64_t before_ms;

	uint64_t n[FILE_STATES];

	(void)sound(check_counts(&rules, &by_kind, &sum, files, text, len, &err), &err);
	err_clear(&err);
	r->frame = &frame;
	r->named = &named;
	r->n_frames = r->n_named = 1;
	r->at = SIZE_MAX;
	(void)sound(files_check(r, text, len, n, &err), &err);
	err_clear(&err);
	(void)sound(bundle_read_parts(r, &before_ms, &err), &err);
}

/* ---- schema, salts, rows ---- */

static void decode_all(void *ctx, const struct row_rules *rules, const char *rows, size_t len)
{
	const char *end = rows + len;
	struct bundle_field *field;
	struct err err = {0};
	struct buf store;

	buf_init(&store, ctx, BUNDLE_ROW_MAX);
	for (const char *p = rows, *nl; (nl = memchr(p, '\n', (size_t)(end - p))); p = nl + 1) {
		int k = bundle_row_kind(rules->kind, rules->n_kinds, p, (size_t)(nl - p));

		if (k < 0)
			continue;
		field = mem_array(ctx, struct bundle_field, rules->kind[k].n_columns + 1);
		(void)sound(bundle_decode_row(&rules->kind[k], p, (size_t)(nl - p), field, &store, &err), &err);
		err_clear(&err);
	}
}

static void fuzz_rows(void *ctx, const char *const part[3], const size_t len[3])
{
	struct row_rules rules = {.salts = salts_new(ctx)};
	struct row_check check;
	struct row_sum sum;
	struct digest root;
	struct err err = {0};

	if (!sound(schema_parse(ctx, part[0], len[0], &rules.kind, &rules.n_kinds, &err), &err) ||
	    !sound(salts_parse(rules.salts, part[1], len[1], &err), &err))
		return;
	row_check_init(&check, ctx, &rules);
	row_sum_init(&sum, ctx, &rules);
	(void)sound(rows_frame(&check, part[2], len[2], &sum, &root, &err), &err);
	decode_all(ctx, &rules, part[2], len[2]);
}

static void fuzz_members(void *ctx, const char *text, size_t len)
{
	const char *part[3] = {text, text, text};
	size_t n = 0, lens[3] = {len, len, len};
	struct bundle_kind *kind;
	struct err err = {0};

	for (const char *p = text, *end = text + len, *nul; n < 3; n++, p = nul + 1) {
		part[n] = p;
		nul = memchr(p, '\0', (size_t)(end - p));
		lens[n] = (size_t)((nul && n < 2 ? nul : end) - p);
		if (!nul)
			break;
	}
	if (n == 2) {
		fuzz_rows(ctx, part, lens);
		return;
	}
	(void)sound(schema_parse(ctx, text, len, &kind, &n, &err), &err);
	err_clear(&err);
	(void)sound(salts_parse(salts_new(ctx), text, len, &err), &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *ctx = talloc_new(NULL);
	char *text = mem_array(ctx, char, size + 1); /* sscanf wants an end */

	memcpy(text, data, size);
	fuzz_trailer(ctx, text, size);
	fuzz_frames(ctx, text, size);
	fuzz_manifest(ctx, text, size);
	fuzz_about(ctx, text, size);
	fuzz_members(ctx, text, size);
	talloc_free(ctx);
	return 0;
}
