/* bundle_box_test.c - the helpers of bundle_test.h. */
#include "bundle_test.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct bundle_column post_columns[POST_COLUMNS] = {
	{"id", "character varying(26)", BT_TEXT, ""},
	{"createat", "bigint", BT_INT, "0"},
	{"updateat", "bigint", BT_INT, "0"},
	{"deleteat", "bigint", BT_INT, "0"},
	{"userid", "character varying(26)", BT_TEXT, ""},
	{"channelid", "character varying(26)", BT_TEXT, ""},
	{"rootid", "character varying(26)", BT_TEXT, ""},
	{"message", "character varying(65535)", BT_TEXT, ""},
	{"props", "jsonb", BT_JSON, "{}"},
	{"ispinned", "boolean", BT_BOOL, "f"},
	{"remoteid", "character varying(26)", BT_TEXT, NULL},
	{"k", "text", BT_TEXT, NULL},
	{"we!ird", "text", BT_TEXT, "x"},
	{"score", "double precision", BT_REAL, "1.5"},
	{"raw", "bytea", BT_BYTES, NULL},
	{"tags", "text[]", BT_ARRAY, "{}"},
	{"more", "json", BT_JSON, NULL},
};
static const struct bundle_column reaction_columns[] = {
	{"userid", "character varying(26)", BT_TEXT, ""},
	{"postid", "character varying(26)", BT_TEXT, ""},
	{"emojiname", "character varying(64)", BT_TEXT, ""},
	{"createat", "bigint", BT_INT, "0"},
};
static const struct bundle_column thread_columns[] = {
	{"postid", "character varying(26)", BT_TEXT, ""},
	{"replycount", "bigint", BT_INT, "0"},
	{"participants", "jsonb", BT_JSON, "[]"},
};

const struct bundle_kind test_kinds[TEST_KINDS] = {
	{"post", "posts", post_columns, POST_COLUMNS, 4},
	{"reaction", "reactions", reaction_columns, ARRAY_LEN(reaction_columns), 0},
	{"thread", "threads", thread_columns, ARRAY_LEN(thread_columns), -1},
};

const struct bundle_source test_source = {
	.rule = "alarms", .policy_digest_hex = "00", .team_id = "t1", .team_label = "accelerator",
	.cutoff_ms = 1700000000000,
	.expires_ms = 1800000000000, .cluster_id = "7", .database = "mattermost", .pg_version = "15.0",
	.schema_digest_hex = "11",
	.tool_version = "mmretain 0.1.0",
};

void box_open(struct box *b)
{
	memset(b, 0, sizeof(*b));
	strcpy(b->path, "/tmp/mmr-bundle-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(b->path));
	b->root = open(b->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(mkdirat(b->root, "partial", 0750), 0);
	ck_assert_int_eq(mkdirat(b->root, "bundles", 0750), 0);
	b->partial = openat(b->root, "partial", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	b->ctx = talloc_new(NULL);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void box_close(struct box *b)
{
	talloc_free(b->ctx);
	close(b->partial);
	close(b->root);
	nftw(b->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

char *box_read(struct box *b, const char *rel, size_t *ret_len)
{
	char *p;

	must(file_read(b->ctx, b->root, rel, 64u << 20, &p, ret_len, &b->err));
	return p;
}

void box_write(struct box *b, const char *rel, const void *data, size_t len)
{
	int fd = openat(b->root, rel, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	ck_assert_int_ge(fd, 0);
	must(file_write_all(fd, data, len, rel, &b->err));
	close(fd);
}

uint32_t rng_next(struct rng *r)
{
	r->x = r->x * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(r->x >> 33);
}

struct bundle_field text_field(const char *s)
{
	return (struct bundle_field){.data = s, .len = strlen(s)};
}

static const char *random_text(void *ctx, struct rng *r)
{
	static const char *const word[] = {"alarm",	"quench", "Ü",	  "🚀",	  "\"",	      "\\",   "\n",
					   "\t",	"\x01",	  "\x7f", "日本", " ",	      "\xff", "\xc3",
					   "</script>", "{",	  "null", "0",	  "e\xcc\x81"};
	char *s = talloc_strdup(ctx, "");
	uint32_t n = rng_next(r) % 8;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t w = rng_next(r) % 64;
		s = talloc_asprintf_append(s, "%s ", word[w < ARRAY_LEN(word) ? w : w % 2]);
	}
	return s;
}

static const char *random_value(void *ctx, struct rng *r, enum bundle_type type)
{
	static const char *const ints[] =
		{"0", "1", "-1", "1700000000123", "9223372036854775807", "-9223372036854775808", "007", ""};
	static const char *const reals[] = {"1.5", "0.1", "1e+20", "-1.5e-07", "NaN", "Infinity", "1.50", "-0"};
	static const char *const jsons[] =
		{"{}",		 "{\"a\": [1, 2, {\"b\": null}]}",	  "null", "\"text\"", "[]", "true", "12.50",
		 "{\"a\":\n 1}", "{\"x\": \"\\u0041\\n \\\" \xc3\xbc\"}", " 1"};
	static const char *const bools[] = {"t", "f", "true"};

	switch (type) {
	case BT_INT:
		return ints[rng_next(r) % ARRAY_LEN(ints)];
	case BT_REAL:
		return reals[rng_next(r) % ARRAY_LEN(reals)];
	case BT_JSON:
		return jsons[rng_next(r) % ARRAY_LEN(jsons)];
	case BT_BOOL:
		return bools[rng_next(r) % ARRAY_LEN(bools)];
	case BT_TEXT:
	case BT_BYTES:
	case BT_ARRAY:
		break;
	}
	return random_text(ctx, r);
}

void random_row(void *ctx, struct rng *r, const struct bundle_kind *kind, struct bundle_field *fields)
{
	for (size_t i = 0; i < kind->n_columns; i++) {
		uint32_t what = rng_next(r) % 8;
		const struct bundle_column *c = &kind->column[i];
		if (what == 0)
			fields[i] = (struct bundle_field){.null = true};
		else if (what < 4 && c->default_text)
			fields[i] = text_field(c->default_text);
		else
			fields[i] = text_field(random_value(ctx, r, c->type));
	}
}

struct bundle_writer *box_writer(struct box *b, const struct plan_of_bundle *p)
{
	struct bundle_options o = {.frame_bytes = p->frame_bytes,
				   .crew = p->crew ? p->crew : bundle_crew_new(b->ctx, p->workers),
				   .seq = p->seq,
				   .previous_digest_hex = "",
				   .kind = test_kinds,
				   .n_kinds = TEST_KINDS};
	struct bundle_source s = test_source;
	struct bundle_writer *w = NULL;

	s.parts = p->parts;
	memset(o.salt_secret, 0x5a, sizeof(o.salt_secret));
	must(bundle_create(b->ctx, b->partial, &s, &o, &w, &b->err));
	return w;
}

static void write_thread(struct box *b, struct bundle_writer *w, struct rng *r, int i)
{
	struct bundle_field f[POST_COLUMNS];
	char id[27], channel[27];
	void *tmp = talloc_new(b->ctx);

	(void)snprintf(channel, sizeof(channel), "channel%06d", i / 10);
	(void)snprintf(id, sizeof(id), "root%06d", i);
	must(bundle_thread_begin(w, channel, id, 1600000000000 + i, &b->err));
	for (uint32_t n = 1 + rng_next(r) % 4; n > 0; n--) {
		size_t kind = n == 1 ? 0 : rng_next(r) % TEST_KINDS;
		random_row(tmp, r, &test_kinds[kind], f);
		must(bundle_row(w, kind, f, &b->err));
	}
	talloc_free(tmp);
}

static void write_blobs(struct box *b, struct bundle_writer *w)
{
	static const char *const content[] = {"", "one blob\n", "and another that is a little longer than one tar "
								"block .........."};

	for (size_t i = 0; i < ARRAY_LEN(content); i++) {
		struct digest d;
		struct hash *h = hash_new(b->ctx);
		int fd;
		hash_bytes(h, content[i], strlen(content[i]), &d);
		box_write(b, "blob", content[i], strlen(content[i]));
		fd = openat(b->root, "blob", O_RDONLY | O_CLOEXEC);
		must(bundle_blob(w, fd, &d, strlen(content[i]), &b->err));
		must(bundle_blob(w, fd, &d, strlen(content[i]), &b->err)); /* once only */
		close(fd);
		must(bundle_file(w, "file1", "stored", &d, strlen(content[i]), &b->err));
	}
	must(bundle_file(w, "file2", "missing", NULL, 7, &b->err));
}

struct bundle_writer *box_rows(struct box *b, const struct plan_of_bundle *p)
{
	struct bundle_writer *w = box_writer(b, p);
	struct rng r = {p->seed};

	for (int i = 0; i < p->threads; i++)
		write_thread(b, w, &r, i);
	if (p->blobs)
		write_blobs(b, w);
	if (p->names) {
		must(bundle_name(w, "teams", "t1", "accelerator", "Accelerator \xff", "", &b->err));
		must(bundle_name(w, "users", "u1", "j.doe", "J. \"D\" Doe", "\"bot\":false", &b->err));
	}
	return w;
}

struct bundle_writer *box_bundle(struct box *b, const struct plan_of_bundle *p)
{
	struct bundle_writer *w = box_rows(b, p);

	must(bundle_finish(w, &b->err));
	return w;
}

struct receipt *box_publish(struct box *b, const struct plan_of_bundle *p)
{
	struct bundle_writer *w = box_bundle(b, p);
	struct receipt *r = NULL;

	must(bundle_publish(w, b->ctx, b->root, 1700000000000, &r, &b->err));
	bundle_abort(w);
	return r;
}
