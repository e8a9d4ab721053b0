/* bundle_group_test.c - group messages, whose names are those of the people in them, without one of these. */
#include "bundle_test.h"

#include <string.h>

#define DOMINIK "dominik.von.und.zu.hohenstein-langenburg"
#define ZACHARIAS "zacharias.weissmueller"

static const char *publish_group(struct box *b, const char *display)
{
	struct bundle_options o = {.seq = 7, .previous_digest_hex = "", .kind = test_kinds, .n_kinds = TEST_KINDS};
	struct bundle_writer *w = NULL;
	struct receipt *r = NULL;

	must(bundle_create(b->ctx, b->partial, &test_source, &o, &w, &b->err));
	must(bundle_name(w, "channels", "c1", "0f0f", display, "\"type\":\"G\"", &b->err));
	must(bundle_finish(w, &b->err));
	must(bundle_publish(w, b->ctx, b->root, 1700000000000, &r, &b->err));
	bundle_abort(w);
	return receipt_rel_path(r);
}

/* Is the word in the list of channels? */
static bool names(struct box *b, const char *rel, const char *word)
{
	struct bundle_reader *r;
	char *text;
	size_t len;

	must(bundle_open(b->ctx, b->root, rel, &r, &b->err));
	must(bundle_read_member(r, b->ctx, "data/names/channels.jsonl", 1 << 20, &text, &len, &b->err));
	talloc_free(r);
	return memmem(text, len, word, strlen(word)) != NULL;
}

static const char *erase(struct box *b, const char *rel, const struct bundle_erase *q)
{
	struct bundle_erasure *e;
	struct bundle_check check = {0};
	struct receipt *r = NULL;

	must(bundle_erase_scan(b->ctx, b->root, rel, q, &e, &b->err));
	must(bundle_erase_write(e, b->partial, &check, &b->err));
	must(bundle_erase_publish(e, b->ctx, &r, &b->err));
	talloc_free(e);
	return receipt_rel_path(r);
}

/* The server keeps 64 bytes of the name of a group message, so that it may end in the middle of an account name. */
START_TEST(a_name_that_was_cut_off_goes)
{
	struct box box, *b = &box;
	static const char dominik[] = DOMINIK, zacharias[] = ZACHARIAS;
	const struct bundle_erase first = {.owner = "anna", .case_id = "c", .at_ms = 1,
					   .name = (const char *[]){_i % 2 ? dominik : zacharias}, .n_names = 1};
	const struct bundle_erase second = {.owner = "ben", .case_id = "c", .at_ms = 1,
					    .name = (const char *[]){_i % 2 ? zacharias : dominik}, .n_names = 1};
	int more = _i / 2;
	char *display = mem_printf(NULL, "ben, carol%.*s, " DOMINIK ", " ZACHARIAS, more, "xxxxxxxxxxxxxxxxxxxxxxxx");

	box_open(b);
	display[64] = '\0';
	const char *rel = publish_group(b, display);
	bool half = strstr(display, ", z") != NULL;
	if (_i % 2 || half)
		rel = erase(b, rel, &first);
	ck_assert(_i % 2 || !half || !names(b, rel, ", z"));
	if (!(_i % 2) || half)
		rel = erase(b, rel, &second);
	ck_assert(!names(b, rel, "dominik") && !names(b, rel, ", z"));
	ck_assert(names(b, rel, mem_printf(b->ctx, "ben, carol%.*s, ", more, "xxxxxxxxxxxxxxxxxxxxxxxx")));
	box_close(b);
	talloc_free(display);
}
END_TEST

START_TEST(a_name_that_only_begins_so_stays)
{
	struct box box, *b = &box;
	struct bundle_erase q = {.owner = "anna", .case_id = "c", .at_ms = 1, .name = (const char *[]){ZACHARIAS},
				 .n_names = 1};
	struct bundle_erasure *e;

	box_open(b);
	must(bundle_erase_scan(b->ctx, b->root, publish_group(b, "ben, carol, zacharias"), &q, &e, &b->err));
	ck_assert(!bundle_erase_sum(e)->known);
	talloc_free(e);
	box_close(b);
}
END_TEST

TCase *group_tests(void)
{
	TCase *t = tcase_create("group");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, a_name_that_was_cut_off_goes, 0, 2 * 20);
	tcase_add_test(t, a_name_that_only_begins_so_stays);
	return t;
}
