/* bundle_erase_test.c - one person taken out of a bundle: what goes, what stays to the byte, what a forger cannot do.
 */
#include "bundle_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECRET_WORD "quiet-sentence"
#define ANNA "annaannaannaannaannaannaan"
#define BEN "benbenbenbenbenbenbenbenbe"

static const struct bundle_column post_columns[] = {
	{"id", "character varying(26)", BT_TEXT, ""},         {"createat", "bigint", BT_INT, "0"},
	{"userid", "character varying(26)", BT_TEXT, ""},     {"channelid", "character varying(26)", BT_TEXT, ""},
	{"rootid", "character varying(26)", BT_TEXT, ""},     {"originalid", "character varying(26)", BT_TEXT, ""},
	{"message", "character varying(65535)", BT_TEXT, ""},
};
static const struct bundle_column reaction_columns[] = {
	{"userid", "character varying(26)", BT_TEXT, ""}, {"postid", "character varying(26)", BT_TEXT, ""},
	{"createat", "bigint", BT_INT, "0"},
};
static const struct bundle_column file_columns[] = {
	{"id", "character varying(26)", BT_TEXT, ""}, {"creatorid", "character varying(26)", BT_TEXT, ""},
	{"name", "text", BT_TEXT, ""},
};
static const struct bundle_column translation_columns[] = {{"objectid", "text", BT_TEXT, ""},
							   {"text", "text", BT_TEXT, ""}};
static const struct bundle_kind kinds[] = {
	{"post", "posts", post_columns, ARRAY_LEN(post_columns), 2},
	{"reaction", "reactions", reaction_columns, ARRAY_LEN(reaction_columns), 0},
	{"file", "fileinfo", file_columns, ARRAY_LEN(file_columns), 1},
	{"translation", "translations", translation_columns, ARRAY_LEN(translation_columns), -1},
};
enum { POST, REACTION, FILE_ROW, TRANSLATION };

struct shape { int threads; size_t frame_bytes; };
static const struct shape shapes[] = {{0, 0}, {1, 0}, {40, 512}, {3000, 4096}, {3000, 0}};

static void put(struct box *b, struct bundle_writer *w, size_t kind, size_t n, ...)
{
	struct bundle_field f[ARRAY_LEN(post_columns)];
	va_list ap;

	va_start(ap, n);
	for (size_t i = 0; i < n; i++)
		f[i] = text_field(va_arg(ap, const char *));
	va_end(ap);
	must(bundle_row(w, kind, f, &b->err));
}

static void put_blob(struct box *b, struct bundle_writer *w, const char *id, const char *content)
{
	struct digest d;
	struct hash *h = hash_new(b->ctx);

	hash_bytes(h, content, strlen(content), &d);
	box_write(b, "blob", content, strlen(content));
	int fd = openat(b->root, "blob", O_RDONLY | O_CLOEXEC);
	must(bundle_blob(w, fd, &d, strlen(content), &b->err));
	close(fd);
	must(bundle_file(w, id, "stored", &d, strlen(content), &b->err));
}

/* Of every ten threads Anna begins one, answers in two and reacts in one; all else is Ben's. */
static void write_thread(struct box *b, struct bundle_writer *w, int i)
{
	char *id = mem_printf(b->ctx, "root%06d", i), *channel = mem_printf(b->ctx, "channel%06d", i / 100);
	char *ms = mem_printf(b->ctx, "%lld", 1600000000000LL + i), *reply = mem_printf(b->ctx, "reply%06d", i);
	const char *root_by = i % 10 == 3 ? ANNA : BEN, *reply_by = i % 10 == 3 || i % 10 == 4 ? ANNA : BEN;

	must(bundle_thread_begin(w, channel, id, 1600000000000 + i, &b->err));
	put(b, w, POST, 7, id, ms, root_by, channel, "", "", root_by[0] == 'a' ? SECRET_WORD : "an ordinary message");
	put(b, w, POST, 7, reply, ms, reply_by, channel, id, "", reply_by[0] == 'a' ? SECRET_WORD : "an answer");
	put(b, w, REACTION, 3, i % 10 == 5 ? ANNA : BEN, id, ms);
	if (i % 10 == 4)
		put(b, w, TRANSLATION, 2, reply, "la " SECRET_WORD);
	if (i % 10 == 3)
		put(b, w, FILE_ROW, 3, mem_printf(b->ctx, "file%06d", i), i % 20 == 3 ? ANNA : BEN,
		    i % 20 == 3 ? SECRET_WORD ".pdf" : "plan.pdf");
}

static const char *publish(struct box *b, const struct shape *s)
{
	struct bundle_options o = {.frame_bytes = s->frame_bytes,
				   .seq = 7,
				   .previous_digest_hex = "",
				   .kind = kinds,
				   .n_kinds = ARRAY_LEN(kinds)};
	struct bundle_writer *w = NULL;
	struct receipt *r = NULL;

	memset(o.salt_secret, 0x5a, sizeof(o.salt_secret));
	must(bundle_create(b->ctx, b->partial, &test_source, &o, &w, &b->err));
	for (int i = 0; i < s->threads; i++)
		write_thread(b, w, i);
	if (s->threads > 13) {
		put_blob(b, w, "file000003", "only Anna's " SECRET_WORD);
		put_blob(b, w, "file000013", "both have this one");
		put_blob(b, w, "file000023", "both have this one");
	}
	must(bundle_name(w, "users", ANNA, "anna.k", "Anna K", "", &b->err));
	must(bundle_name(w, "users", BEN, "ben", "Ben", "", &b->err));
	must(bundle_name(w, "channels", "c1", ANNA "__" BEN, "", "\"type\":\"D\"", &b->err));
	must(bundle_name(w, "channels", "c2", "0f0f", "anna.k, ben, carol",
			 "\"type\":\"G\",\"members\":[\"anna.k\",\"ben\",\"carol\"]", &b->err));
	must(bundle_name(w, "channels", "c3", "vacuum", "Vacuum \xc3\xbc", "\"type\":\"O\"", &b->err));
	must(bundle_name(w, "channels", "c4", ANNA "__" ANNA, "", "\"type\":\"D\"", &b->err)); /* notes to herself */
	must(bundle_finish(w, &b->err));
	must(bundle_publish(w, b->ctx, b->root, 1700000000000, &r, &b->err));
	bundle_abort(w);
	return receipt_rel_path(r);
}

static int also_translations(void *payload, const struct bundle_kind *kind, const char *line, size_t len, bool owned,
			     struct err *err)
{
	(void)payload;
	(void)err;
	ck_assert(!owned || memmem(line, len, ANNA, 26) != NULL);
	return strcmp(kind->kind, "translation") == 0;
}

static const struct bundle_erase anna = {.owner = ANNA,
					 .case_id = "DPO-1 \"x\"",
					 .at_ms = 1764370000000,
					 .row = also_translations};

static struct receipt *erase(struct box *b, const char *rel, const struct bundle_erase *q)
{
	struct bundle_erasure *e;
	struct bundle_check check = {0};
	struct receipt *r = NULL;

	must(bundle_erase_scan(b->ctx, b->root, rel, q, &e, &b->err));
	must(bundle_erase_write(e, b->partial, &check, &b->err));
	must(bundle_erase_publish(e, b->ctx, &r, &b->err));
	ck_assert_str_eq(receipt_rel_path(r), bundle_erase_rel_path(e));
	ck_assert_mem_eq(receipt_file_digest(r), &check.file_digest, DIGEST_BYTES);
	talloc_free(e);
	return r;
}

/* Every decompressed byte of the file. */
static bool holds(struct box *b, const char *rel, const char *word)
{
	struct bundle_reader *r;
	bool found = false;
	char *text;
	size_t len;

	must(bundle_open(b->ctx, b->root, rel, &r, &b->err));
	for (size_t i = 0; i < r->n_pos && !found; i++) {
		must(reader_range(r, b->ctx, i, 1, FRAME_RAW_MAX, &text, &len, &b->err));
		found = memmem(text, len, word, strlen(word)) != NULL;
		talloc_free(text);
	}
	talloc_free(r);
	return found;
}

START_TEST(one_person_goes_and_the_rest_stays)
{
	struct box box, *b = &box;
	struct bundle_check before = {0}, after = {0};
	const struct shape *s = &shapes[_i];
	struct bundle_erasure *e;

	box_open(b);
	const char *rel = publish(b, s);
	must(bundle_verify(b->root, rel, &before, NULL, &b->err));
	ck_assert_uint_eq(before.generation, 1);
	must(bundle_erase_scan(b->ctx, b->root, rel, &anna, &e, &b->err));
	uint64_t tens = (uint64_t)s->threads / 10, rows = s->threads > 1 ? 5 * tens + (tens + 1) / 2 : 0;
	ck_assert(bundle_erase_sum(e)->known);
	ck_assert_uint_eq(bundle_erase_sum(e)->rows, rows);
	ck_assert_uint_eq(bundle_erase_sum(e)->posts, s->threads > 1 ? 3 * tens : 0);
	ck_assert_uint_eq(bundle_erase_sum(e)->blobs, s->threads > 13);
	ck_assert_uint_eq(bundle_erase_sum(e)->names, 4);
	talloc_free(e);
	const struct receipt *r = erase(b, rel, &anna);
	ck_assert_ptr_nonnull(strstr(receipt_rel_path(r), "-e2.tar.zst"));
	must(bundle_verify(b->root, receipt_rel_path(r), &after, NULL, &b->err));
	ck_assert_mem_eq(&before.rows_digest, &after.rows_digest, DIGEST_BYTES);
	ck_assert_uint_eq(after.rows, before.rows);
	ck_assert_uint_eq(after.erased, rows);
	ck_assert_uint_eq(after.generation, 2);
	ck_assert_uint_eq(after.threads, before.threads);
	ck_assert_uint_eq(after.blobs + (s->threads > 13), before.blobs);
	ck_assert(!holds(b, receipt_rel_path(r), SECRET_WORD));
	ck_assert(!holds(b, receipt_rel_path(r), ANNA));
	ck_assert(!holds(b, receipt_rel_path(r), "anna.k"));
	ck_assert(holds(b, receipt_rel_path(r), "carol"));
	ck_assert(s->threads == 0 || holds(b, receipt_rel_path(r), "an ordinary message"));
	box_close(b);
}
END_TEST

/* Frames without rows of the person are the same compressed bytes. */
START_TEST(untouched_frames_are_copied)
{
	struct box box, *b = &box;
	struct bundle_reader *old, *now;
	size_t same = 0, rows = 0;

	box_open(b);
	const char *rel = publish(b, &shapes[3]);
	const struct bundle_erase q = {.owner = "nobody-of-these", .case_id = "c", .at_ms = 1, .row = NULL};
	const struct receipt *r = erase(b, rel, &q);
	must(bundle_open(b->ctx, b->root, rel, &old, &b->err));
	must(bundle_open(b->ctx, b->root, receipt_rel_path(r), &now, &b->err));
	for (size_t i = 0; i < old->n_frames; i++) {
		if (!is_row_member(old->frame[i].member))
			continue;
		rows++;
		must(reader_frame(old, old->frame[i].no, &b->err));
		must(reader_frame(now, now->frame[i].no, &b->err));
		same += old->comp.len == now->comp.len && memcmp(old->comp.data, now->comp.data, now->comp.len) == 0;
	}
	ck_assert_uint_gt(rows, 10);
	ck_assert_uint_eq(same, rows);
	box_close(b);
}
END_TEST

START_TEST(a_second_person_goes_later)
{
	struct box box, *b = &box;
	struct bundle_check before = {0}, after = {0};
	const struct bundle_erase ben = {.owner = BEN, .case_id = "DPO-2", .at_ms = 1764380000000};
	struct bundle_erasure *e;

	box_open(b);
	const char *rel = publish(b, &shapes[2]);
	must(bundle_verify(b->root, rel, &before, NULL, &b->err));
	rel = receipt_rel_path(erase(b, rel, &anna));
	must(bundle_erase_scan(b->ctx, b->root, rel, &anna, &e, &b->err));
	ck_assert(!bundle_erase_sum(e)->known); /* nothing left of her */
	talloc_free(e);
	rel = receipt_rel_path(erase(b, rel, &ben));
	ck_assert_ptr_nonnull(strstr(rel, "-e3.tar.zst"));
	must(bundle_verify(b->root, rel, &after, NULL, &b->err));
	ck_assert_mem_eq(&before.rows_digest, &after.rows_digest, DIGEST_BYTES);
	ck_assert_uint_eq(after.erased, after.rows);
	ck_assert_uint_eq(after.posts, 0);
	ck_assert_uint_eq(after.generation, 3);
	ck_assert(!holds(b, rel, "an ordinary message"));
	box_close(b);
}
END_TEST

/* What a reader finds in the place of a post. */
START_TEST(a_line_says_what_it_stood_for)
{
	struct box box, *b = &box;
	struct bundle_reader *r;
	struct bundle_erased e;
	const char *line;
	size_t len, roots = 0, replies = 0, others = 0;

	box_open(b);
	const struct receipt *receipt = erase(b, publish(b, &shapes[2]), &anna);
	must(bundle_open_receipt(b->ctx, receipt, &r, &b->err));
	while (bundle_read_row(r, &line, &len, &b->err) == 1) {
		if (!bundle_erased_line(line, len, &e))
			continue;
		ck_assert_int_eq(e.at_ms, anna.at_ms);
		ck_assert_uint_eq(e.case_len, strlen("DPO-1 \\\"x\\\""));
		if (e.kind_len != 4 || memcmp(e.kind, "post", 4) != 0) {
			ck_assert_ptr_null(e.id);
			others++;
		} else if (e.root) {
			ck_assert_int_eq(e.create_ms, 0);
			ck_assert_uint_eq(e.channel_len, 13);
			replies++;
		} else {
			ck_assert_int_ge(e.create_ms, 1600000000000);
			ck_assert_mem_eq(e.id, "root", 4);
			roots++;
		}
	}
	ck_assert_uint_eq(roots, 4);
	ck_assert_uint_eq(replies, 8);
	ck_assert_uint_eq(others, 4 + 4 + 2);
	box_close(b);
}
END_TEST

static const char *const no_line[] = {
	"{\"k\":\"erased\"}",
	"{\"k\":\"erased\",\"kind\":\"post\",\"commit\":\"00\",\"case\":\"c\",\"at\":1}",
	"{\"k\":\"erased\",\"kind\":\"post\",\"commit\":"
	"\"0123456789012345678901234567890123456789012345678901234567890123\",\"at\":1}",
	"{\"k\":\"erased\",\"kind\":\"post\",\"commit\":"
	"\"0123456789012345678901234567890123456789012345678901234567890123\",\"case\":\"c\"}",
	"{\"k\":\"erased\",\"commit\":\"0123456789012345678901234567890123456789012345678901234567890123\",\"case\":"
	"\"c\",\"at\":1}",
	"{\"k\":\"erased\",\"kind\":\"post\",\"commit\":"
	"\"0123456789012345678901234567890123456789012345678901234567890123\",\"case\":\"c\",\"at\":1",
	"{\"k\":\"post\",\"kind\":\"post\",\"commit\":"
	"\"0123456789012345678901234567890123456789012345678901234567890123\",\"case\":\"c\",\"at\":1}",
};

START_TEST(half_a_line_is_none)
{
	struct bundle_erased e;

	ck_assert(!bundle_erased_line(no_line[_i], strlen(no_line[_i]), &e));
}
END_TEST

/* ---- a forger who writes a whole file ---- */

enum forgery {
	HONEST,
	OTHER_COMMIT,
	LINE_GONE,
	OTHER_KIND,
	LIVE_AS_ERASED,
	NO_GENERATION,
	NO_HISTORY,
	OTHER_HISTORY,
	OTHER_CONTENT,
	OTHER_FILES,
	OTHER_ROWS,
	FORGERIES
};
static const char *const found_as[] = {
	[OTHER_COMMIT] = "other rows", [LINE_GONE] = "other rows", [OTHER_KIND] = "other numbers of rows",
	[LIVE_AS_ERASED] = "other counts",
	[NO_GENERATION] = "what it was before", [NO_HISTORY] = "does not say what was erased",
	[OTHER_HISTORY] = "what it was before",
	[OTHER_CONTENT] = "an attachment stored that is not here", [OTHER_FILES] = "other numbers of files",
	[OTHER_ROWS] = "other numbers of rows",
};

static void forge_text(enum forgery how, char *text, size_t *len)
{
	char *at = memmem(text, *len, "{\"k\":\"erased\",\"kind\":\"reaction\"", 31), *end, *commit;

	if (!at)
		return;
	end = memchr(at, '\n', (size_t)(text + *len - at));
	commit = strstr(at, "\"commit\":\"") + 10;
	if (how == OTHER_COMMIT)
		*commit = *commit == 'a' ? 'b' : 'a';
	if (how == OTHER_KIND)
		memcpy(at + 22, "post\"    ", 9); /* JSON allows the blanks */
	if (how == LINE_GONE) {
		memmove(at, end + 1, (size_t)(text + *len - end - 1));
		*len -= (size_t)(end + 1 - at);
	}
}

static void forge_rows(struct box *b, struct bundle_reader *r, struct bundle_writer *w, size_t i, enum forgery how)
{
	const struct bundle_frame *f = &r->frame[i];
	struct frame_row m = {.member = (uint32_t)w->n_members - 1,
			      .rows = f->rows,
			      .threads = r->threads[i],
			      .root = r->root[i]};
	char *text, *out;
	size_t len;

	must(bundle_read_frame(r, b->ctx, i, &text, &len, &b->err));
	forge_text(how, text, &len);
	out = mem_array(b->ctx, char, zc_bound(len));
	size_t n = zc_compress(ring_zc(w->ring), 6, out, zc_bound(len), text, len);
	tree_add(&w->data_tree, m.root.b, DIGEST_BYTES);
	hash_update(w->member_hash, text, len);
	must(outfile_frame(&w->out, &m, out, n, len, &b->err));
}

static uint64_t forged_size(struct box *b, struct bundle_reader *r, size_t at, size_t n, enum forgery how)
{
	uint64_t size = 0;
	char *text;
	size_t len;

	for (size_t i = at; i < at + n; i++) {
		must(bundle_read_frame(r, b->ctx, i, &text, &len, &b->err));
		forge_text(how, text, &len);
		size += len;
	}
	return size;
}

/* One digit of it. */
static void forge_other(const char *name, enum forgery how, char *text)
{
	static const struct { const char *name, *key; } where[FORGERIES] = {
		[OTHER_HISTORY] = {HISTORY_FOLDER "mmretain-e1.json", "\"rows\":"},
		[OTHER_CONTENT] = {"data/files.jsonl", "\"sha256\":\""},
		[OTHER_FILES] = {"data/bundle.json", "\"kept\":"}, [OTHER_ROWS] = {"data/bundle.json", "\"rows\":"},
	};

	if (!where[how].name || strcmp(name, where[how].name) != 0)
		return;
	char *digit = strstr(text, where[how].key) + strlen(where[how].key);
	*digit = *digit == '8' ? '9' : '8';
}

static void forge_member(struct box *b, struct bundle_reader *r, struct bundle_writer *w, size_t at, size_t n,
			 enum forgery how)
{
	const char *name = r->frame[at].member;
	char header[TAR_BLOCK + TAR_HEADER_MAX] = {0}, out[2560], *text;
	size_t len;

	if (!is_row_member(name)) {
		must(bundle_read_member(r, b->ctx, name, 1u << 24, &text, &len, &b->err));
		forge_other(name, how, text);
		if (how != NO_HISTORY || strncmp(name, HISTORY_FOLDER, strlen(HISTORY_FOLDER)) != 0)
			must(member_put(w, name, text, len, &b->err));
		must(ring_drain(w->ring, &b->err));
		return;
	}
	uint64_t size = forged_size(b, r, at, n, how);
	size_t pad = tar_padding(w->last_size), head = pad + tar_header(w->identity, name, size, header + pad);
	w->last_size = size;
	member_add(w, name)->bytes = size;
	must(outfile_frame(&w->out, NULL, out, zc_compress(ring_zc(w->ring), 6, out, sizeof(out), header, head), head,
			   &b->err));
	for (size_t i = at; i < at + n; i++)
		forge_rows(b, r, w, i, how);
	hash_final(w->member_hash, &w->member[w->n_members - 1].sha256);
}

static bool follows_from_others(const char *name)
{
	return strcmp(name, "manifest-sha256.txt") == 0 || strcmp(name, "tagmanifest-sha256.txt") == 0;
}

/* The file once more, with everything that follows from its members made to fit. */
static char *forge(struct box *b, const char *rel, enum forgery how)
{
	struct bundle_options o = {.kind = kinds, .n_kinds = ARRAY_LEN(kinds)};
	struct bundle_source none = {.rule = ""};
	struct bundle_reader *r;
	struct bundle_writer *w;
	struct receipt *receipt;

	must(bundle_open(b->ctx, b->root, rel, &r, &b->err));
	must(writer_new(b->ctx, b->partial, &none, &o, r->trailer.identity, "forged.part", &w, &b->err));
	for (size_t i = 0, n; i < r->n_frames; i += n) {
		n = 1;
		while (i + n < r->n_frames && strcmp(r->frame[i + n].member, r->frame[i].member) == 0)
			n++;
		if (!follows_from_others(r->frame[i].member))
			forge_member(b, r, w, i, n, how);
	}
	const struct trailer *t = &r->trailer;
	w->sum = (struct bundle_check){.threads = t->threads,
				       .rows = t->rows - (how == LINE_GONE),
				       .posts = t->posts,
				       .blobs = t->blobs,
				       .raw_bytes = t->row_bytes,
				       .erased = t->erased - (how == LINE_GONE) + (how == LIVE_AS_ERASED)};
	w->generation = how == NO_GENERATION ? 1 : (uint32_t)t->generation;
	tree_root(&w->data_tree, &w->sum.rows_digest);
	must(writer_seal(w, &b->err));
	const char *name = strrchr(rel, '/') + 1;
	must(writer_publish(w, b->ctx, b->root, "forged", how == NO_GENERATION ? "x" : name, 0, &receipt, &b->err));
	bundle_abort(w);
	return mem_printf(b->ctx, "forged/%s", how == NO_GENERATION ? "x" : name);
}

START_TEST(a_forged_line_is_found)
{
	struct box box, *b = &box;
	struct bundle_check c = {0};

	box_open(b);
	char *rel = forge(b, receipt_rel_path(erase(b, publish(b, &shapes[2 + (_i % 2)]), &anna)), (enum forgery)_i);
	int rc = bundle_verify(b->root, rel, &c, NULL, &b->err);
	if (_i == HONEST) {
		ck_assert_msg(rc == 0, "%s", b->err.msg);
	} else {
		ck_assert_int_eq(rc, -ERR_VERIFY);
		ck_assert_msg(strstr(c.damage, found_as[_i]) != NULL, "%s", c.damage);
	}
	box_close(b);
}
END_TEST

TCase *erase_tests(void)
{
	TCase *t = tcase_create("erase");

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, one_person_goes_and_the_rest_stays, 0, ARRAY_LEN(shapes));
	tcase_add_test(t, untouched_frames_are_copied);
	tcase_add_test(t, a_second_person_goes_later);
	tcase_add_test(t, a_line_says_what_it_stood_for);
	tcase_add_loop_test(t, half_a_line_is_none, 0, ARRAY_LEN(no_line));
	tcase_add_loop_test(t, a_forged_line_is_found, HONEST, FORGERIES);
	return t;
}
