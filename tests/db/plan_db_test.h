/*
 * plan_db_test.h - what the tests of plans on a seeded database share: MMR_TEST_CONNINFO names it, MMR_TEST_NOW the
 * time.
 */
#ifndef PLAN_DB_TEST_H
#define PLAN_DB_TEST_H

#include <stdlib.h>
#include <string.h>

#include <mmretain/plan.h>

#define HEAD "version: 1\ndatabase: {service: x}\narchive: {store: /tmp/x}\nrules:\n"

static struct mm *mm;
static int failures;

static void die(const char *what, const struct err *err)
{
	fprintf(stderr, "%s: %s: %s\n", what, err_name(err->code), err->msg);
	exit(1);
}

static struct db_result *sql(void *ctx, const char *text)
{
	struct sql s = {.name = "test", .text = text};
	struct db_result *res = NULL;
	struct err err = {0};
	bool rows = strncmp(text, "SELECT", 6) == 0 || strncmp(text, "WITH", 4) == 0;

	if (db_query(ctx, mm->db, &s, rows ? DB_ANY : DB_NONE, 0, NULL, rows ? &res : NULL, &err) < 0)
		die(text, &err);
	return res;
}

static struct policy *parse(void *ctx, const char *text)
{
	struct policy_problems *problems = NULL;
	struct policy *policy;
	struct err err = {0};

	if (policy_parse(ctx, "test", text, strlen(text), &policy, &problems, &err) < 0) {
		for (size_t i = 0; problems && i < problems->n; i++)
			fprintf(stderr, "%u: %s\n", problems->item[i].line, problems->item[i].text);
		die(text, &err);
	}
	return policy;
}

static void *begin(const char *name)
{
	const struct mm_source source = {.url = getenv("MMR_TEST_CONNINFO")};
	struct err err = {0};
	void *ctx;

	mem_setup();
	ctx = mem_context(NULL, name);
	if (getenv("MMR_TEST_NOW"))
		time_override_ms(strtoll(getenv("MMR_TEST_NOW"), NULL, 10));
	if (mm_open(ctx, &source, &mm, &err) < 0 || mm_probe(mm, &err) < 0)
		die("open", &err);
	return ctx;
}

static int end(void *ctx)
{
	printf("%d failures\n", failures);
	talloc_free(ctx);
	return failures ? 1 : 0;
}

#endif
