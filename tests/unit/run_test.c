/*
 * run_test.c - what the run decides without a database: recovery by the ledger, clocks, times of expiry, holds, and the
 * lines it writes.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "run_tests.h"
#include "../support/suite.h"

void *ctx;
int ledger_dir;
static char dir_path[] = "/tmp/mmretain-run-XXXXXX";

static void setup(void)
{
	ctx = mem_context(NULL, "test");
	memcpy(dir_path + strlen(dir_path) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(dir_path));
	ledger_dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(ledger_dir, 0);
	log_level_set(LOG_ERROR);
}

static void teardown(void)
{
	talloc_free(ctx);
	time_override_ms(0);
	(void)unlinkat(ledger_dir, LEDGER_FILE, 0);
	close(ledger_dir);
	(void)rmdir(dir_path);
}

struct ledger *must_open(void)
{
	struct ledger *l = NULL;
	struct err err = {0};

	ck_assert_msg(ledger_open(ctx, ledger_dir, &l, &err) == 0, "%s", err.msg);
	return l;
}

struct ledger_state *must_fold(void)
{
	struct ledger_state *st = NULL;
	struct err err = {0};

	ck_assert_msg(ledger_fold(ctx, ledger_dir, &st, &err) == 0, "%s", err.msg);
	return st;
}

struct wanted { const char *type; json_t *list; };

static int on_line(void *payload, uint64_t seq, const char *line, size_t len, struct err *err)
{
	const struct wanted *w = payload;
	json_t *o = json_loadb(line, len, 0, NULL);

	(void)seq;
	(void)err;
	ck_assert(json_is_object(o));
	if (strcmp(json_string_value(json_object_get(o, "type")), w->type) == 0)
		ck_assert_int_eq(json_array_append(w->list, o), 0);
	json_decref(o);
	return 0;
}

json_t *lines_of(const char *type)
{
	struct wanted w = {.type = type, .list = json_array()};
	struct err err = {0};

	ck_assert_msg(ledger_read(ledger_dir, on_line, &w, &err) == 0, "%s", err.msg);
	return w.list;
}

struct run *new_run(const struct policy *policy, const struct run_options *options)
{
	struct run *run = mem_new(ctx, struct run);

	run->ctx = ctx;
	run->policy = policy;
	run->options = options;
	run->report = mem_new(ctx, struct run_report);
	snprintf(run->report->id, sizeof run->report->id, "r-of-test");
	return run;
}

void id_of(mm_id ret, unsigned n)
{
	snprintf(ret, sizeof(mm_id), "id%024u", n);
}

int main(void)
{
	TCase *(*const cases[])(void) = {run_clock_case, run_due_case,	run_expire_case,
					 run_held_case,	 run_line_case, run_recover_case};
	Suite *s = suite_create("run");

	mem_setup();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		TCase *tc = cases[i]();

		tcase_add_checked_fixture(tc, setup, teardown);
		suite_add_tcase(s, tc);
	}
	return suite_run(s);
}
