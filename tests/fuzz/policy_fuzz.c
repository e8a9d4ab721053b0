/* libFuzzer: any bytes are a policy, or a list of problems in file order; never both, never a crash. */
#include <mmretain/policy.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_problems(const struct policy_problems *all)
{
	size_t errors = 0;

	for (size_t i = 0; i < all->n; i++) {
		const struct policy_problem *p = &all->item[i], *before = i ? p - 1 : p;

		if (p->line == 0 || p->column == 0 || !p->text[0] || !utf8_valid(p->text, talloc_get_size(p->text) - 1))
			abort();
		if (p->line < before->line || (p->line == before->line && p->column < before->column))
			abort();
		errors += !p->warning;
	}
	if (errors != all->n_errors)
		abort();
}

static void check_winner(void *ctx, const struct policy *p)
{
	static const struct policy_scope scope =
		{"4xp9fdt77pncbef59f4k1qe83o", "alarm-1", "t1", "accelerator", SCOPE_PUBLIC, false};
	const struct policy_rule *rule = NULL;
	struct policy_candidate *all = NULL;
	struct err err = {0};
	int rc = policy_winner(ctx, p, &scope, &rule, &all, &err);
	size_t won = 0, tied = 0;

	for (size_t i = 0; i < p->n_rules; i++) {
		won += all[i].loss == WON;
		tied += all[i].loss == LOST_TIE;
	}
	if ((rc == 0) == (tied > 0) || won != (rule ? 1 : 0) || tied == 1)
		abort();
	for (size_t i = 0; i < p->n_holds; i++)
		(void)policy_hold_covers(&p->hold[i], &scope); /* must not crash */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *ctx = mem_context(NULL, "fuzz");
	struct policy *p = NULL;
	struct policy_problems *problems = NULL;
	struct err err = {0};
	int rc = policy_parse(ctx, "fuzz", (const char *)data, size, &p, &problems, &err);

	if (!problems || (rc == 0) != (p != NULL) || (rc == 0) != (problems->n_errors == 0))
		abort();
	check_problems(problems);
	if (p)
		check_winner(ctx, p);
	talloc_free(ctx);
	return 0;
}
