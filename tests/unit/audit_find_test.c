/* audit_find_test.c - an archive as an auditor asks it: rows on both sides of a border of frames, many bundles. */
#include "audit_internal.h"
#include "audit_tests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JANE "janejanejanejanejanejaneja"
#define JOE "joejoejoejoejoejoejoejoejo"
enum { THREADS = 300, REACTIONS = 40, JANES = 7 /* one thread in so many */ };
enum { JANE_THREADS = (THREADS + JANES - 1) / JANES };

static const struct bundle_column post_columns[] = {
	{"id", "text", BT_TEXT, ""},     {"createat", "bigint", BT_INT, "0"}, {"userid", "text", BT_TEXT, ""},
	{"channelid", "text", BT_TEXT, ""}, {"message", "text", BT_TEXT, ""},    {"fileids", "text", BT_TEXT, "[]"},
};
static const struct bundle_column reaction_columns[] = {
	{"userid", "text", BT_TEXT, ""}, {"postid", "text", BT_TEXT, ""}, {"emojiname", "text", BT_TEXT, ""},
};
static const struct bundle_column file_columns[] = {
	{"id", "text", BT_TEXT, ""}, {"creatorid", "text", BT_TEXT, ""}, {"postid", "text", BT_TEXT, ""},
	{"name", "text", BT_TEXT, ""},
};
static const struct bundle_kind kinds[] = {
	{"post", "posts", post_columns, ARRAY_LEN(post_columns), 2},
	{"reaction", "reactions", reaction_columns, ARRAY_LEN(reaction_columns), 0},
	{"file", "fileinfo", file_columns, ARRAY_LEN(file_columns), 1},
};
enum { POST, REACTION, FILE_ROW };

static void *ctx;
static char path[] = "/tmp/mmretain-audit-XXXXXX";
static struct store *store;
static struct err err;

#define must(call) ck_assert_msg((call) == 0, "%s", err.msg)

static void set_up(void)
{
	ctx = talloc_new(NULL);
	memcpy(path + sizeof path - 7, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(path));
	ck_assert_int_eq(rmdir(path), 0);
	must(store_init(path, &err));
	must(store_open(ctx, path, true, &store, &err));
}

static void tear_down(void)
{
	char command[64];

	talloc_free(ctx);
	snprintf(command, sizeof command, "rm -rf %s", path);
	ck_assert_int_eq(system(command), 0);
}

static void put(struct bundle_writer *w, size_t kind, size_t n, ...)
{
	struct bundle_field f[ARRAY_LEN(post_columns)];
	va_list ap;

	va_start(ap, n);
	for (size_t i = 0; i < n; i++) {
		const char *s = va_arg(ap, const char *);
		f[i] = (struct bundle_field){.data = s, .len = strlen(s)};
	}
	va_end(ap);
	must(bundle_row(w, kind, f, &err));
}

/* What does not shrink: a bundle of a few frames has no index. */
static const char *noise(void)
{
	uint8_t bytes[200];
	char *hex = talloc_size(ctx, 2 * sizeof bytes + 1);

	must(random_bytes(bytes, sizeof bytes, &err));
	hex_encode(bytes, sizeof bytes, hex);
	return hex;
}

/* Of people in turn, each post with a file of nobody behind so many reactions that it may be in the next frame. */
static void write_thread(struct bundle_writer *w, int i)
{
	char *post = talloc_asprintf(ctx, "post%06d", i), *file = talloc_asprintf(ctx, "file%06d", i);
	char *ms = talloc_asprintf(ctx, "%lld", 1600000000000LL + i);

	must(bundle_thread_begin(w, "channel", post, 1600000000000 + i, &err));
	put(w, POST, 6, post, ms, i % JANES ? JOE : JANE, "channel", talloc_asprintf(ctx, "words %s", noise()),
	    talloc_asprintf(ctx, "[\"%s\"]", file));
	for (int k = 0; k < REACTIONS; k++)
		put(w, REACTION, 3, JOE, post, noise());
	put(w, FILE_ROW, 4, file, "nouser", post, talloc_asprintf(ctx, "contract %d.txt", i));
}

static const char *make_bundle(uint32_t seq, int threads)
{
	const struct bundle_source source = {.rule = "r", .team_id = "", .team_label = "direct"};
	const struct bundle_options options = {.frame_bytes = 4096, .seq = seq, .kind = kinds,
					       .n_kinds = ARRAY_LEN(kinds)};
	struct bundle_writer *w;
	struct receipt *r;

	must(bundle_create(ctx, store->partial_dirfd, &source, &options, &w, &err));
	for (int i = 0; i < threads; i++)
		write_thread(w, i);
	must(bundle_file(w, "file000000", "missing", NULL, 0, &err));
	must(bundle_name(w, "users", JANE, "jane", "", "", &err));
	must(bundle_name(w, "users", JOE, "joe", "", "", &err));
	must(bundle_finish(w, &err));
	must(bundle_publish(w, ctx, store->root_dirfd, 1700000000000, &r, &err));
	bundle_abort(w);
	return receipt_rel_path(r);
}

static struct audit_found ask(bool scan, const char *words, const char *file_name)
{
	const struct catalog_options options = {.scan = scan};
	const char *jane = "jane";
	const struct audit_question q = {.words = words, .user = &jane, .n_users = 1, .from_ms = INT64_MIN,
					 .before_ms = INT64_MAX, .file_name = file_name};
	struct audit_found found;
	struct audit *a;

	must(audit_open(ctx, store, &options, &a, &err));
	must(audit_find(a, &q, ctx, &found, &err));
	ck_assert_uint_eq(audit_stats(a)->bundles_without_index, 0);
	return found;
}

static const struct { const char *words, *file_name; size_t hits; } questions[] = {
	{NULL, "contract", JANE_THREADS}, {"contract", NULL, JANE_THREADS}, {"words", NULL, JANE_THREADS},
	{"words OR contract", NULL, 2 * JANE_THREADS}, {"NOT nothing", NULL, 2 * JANE_THREADS}, {"nothing", NULL, 0},
};

START_TEST(a_file_of_nobody_is_found_behind_the_border)
{
	must(catalog_add_bundle(store, make_bundle(1, THREADS), &err));
	for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
		struct audit_found all = ask(true, questions[i].words, questions[i].file_name),
				   found = ask(false, questions[i].words, questions[i].file_name);

		ck_assert_uint_eq(all.n, questions[i].hits);
		ck_assert_uint_eq(found.n, all.n);
		for (size_t k = 0; k < all.n; k++) {
			ck_assert_str_eq(found.hit[k].post, all.hit[k].post);
			ck_assert_int_eq(!found.hit[k].file_name, !all.hit[k].file_name);
		}
	}
}
END_TEST

/* The list of attachments may be as long as the bundle: a handful is kept. */
START_TEST(lists_of_attachments_go_with_their_readers)
{
	enum { BUNDLES = 20 };
	const struct catalog_options options = {.scan = true};
	struct audit_thread *t;
	struct audit *a;
	size_t lists = 0;

	for (uint32_t i = 0; i < BUNDLES; i++)
		(void)make_bundle(i + 1, 1);
	must(audit_open(ctx, store, &options, &a, &err));
	for (size_t i = 0; i < BUNDLES; i++) {
		struct audit_ref ref = {.bundle = i, .root = "post000000"};
		must(audit_thread_load(a, &ref, ctx, &t, &err));
		ck_assert_str_eq(t->post[0].file[0].state, "missing");
	}
	for (size_t i = 0; i < BUNDLES; i++)
		lists += a->bundle[i].files != NULL;
	ck_assert_uint_eq(lists, ARRAY_LEN(a->recent));
}
END_TEST

static void damage(const char *rel_path, const char *member)
{
	const struct bundle_frame *frame;
	struct bundle_reader *r;
	size_t i = 0;
	FILE *f = fopen(talloc_asprintf(ctx, "%s/%s", path, rel_path), "r+b");

	must(bundle_open(ctx, store->root_dirfd, rel_path, &r, &err));
	while (strcmp((frame = bundle_frame_at(r, i))->member, member) != 0)
		i++;
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fseek(f, (long)(frame->offset + frame->clen / 2), SEEK_SET), 0);
	ck_assert_int_eq(fputc('!', f), '!');
	ck_assert_int_eq(fclose(f), 0);
}

/* Whoever asks again is not told that there is none. */
START_TEST(a_damaged_list_of_attachments_stays_an_error)
{
	const struct catalog_options options = {.scan = true};
	struct audit_ref ref = {.root = "post000000"};
	struct audit_thread *t;
	struct audit *a;

	damage(make_bundle(1, 1), "data/files.jsonl");
	must(audit_open(ctx, store, &options, &a, &err));
	ck_assert_int_eq(audit_thread_load(a, &ref, ctx, &t, &err), -ERR_VERIFY);
	ck_assert_int_eq(audit_thread_load(a, &ref, ctx, &t, &err), -ERR_VERIFY);
}
END_TEST

TCase *audit_find_case(void)
{
	TCase *t = tcase_create("find");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, a_file_of_nobody_is_found_behind_the_border);
	tcase_add_test(t, lists_of_attachments_go_with_their_readers);
	tcase_add_test(t, a_damaged_list_of_attachments_stays_an_error);
	return t;
}
