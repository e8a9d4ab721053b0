/*
 * plan_db_time.c - builds a plan once and prints what it found and how long it took.
 *
 * plan_db_time POLICY [--sizes] [--list], with MMR_TEST_CONNINFO naming the database.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <mmretain/plan.h>

static int fail(const struct err *err)
{
	fprintf(stderr, "%s: %s\n%s\n", err_name(err->code), err->msg, err->hint);
	return 1;
}

static void print_due(struct plan *plan)
{
	struct err err = {0};
	const void *p;

	if (spool_rewind(plan->due, &err) < 0)
		return;
	while (spool_next(plan->due, &p, &err) > 0) {
		const struct plan_thread *t = p;

		printf("due %s %s %llu %llu\n", t->root, plan_reason_name(t->reason), (unsigned long long)t->posts,
		       (unsigned long long)t->bytes);
	}
}

static void print_plan(const struct plan *plan, double ms)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	for (size_t i = 0; i < plan->n_warnings; i++)
		printf("warning: %s\n", plan->warning[i]);
	for (size_t i = 0; i < plan->n_rules; i++) {
		printf("rule %s scopes %llu due %llu/%llu:", plan->rule[i].rule->name,
		       (unsigned long long)plan->rule[i].scopes, (unsigned long long)plan->rule[i].due_threads,
		       (unsigned long long)plan->rule[i].due_posts);
		for (unsigned k = 0; k < PLAN_REASONS; k++)
			if (plan->rule[i].reason[k])
				printf(" %s=%llu", plan_reason_name(k), (unsigned long long)plan->rule[i].reason[k]);
		printf("\n");
	}
	printf("due %llu threads %llu posts %llu bytes in %.1f ms, %ld kB\n", (unsigned long long)plan->due_threads,
	       (unsigned long long)plan->due_posts, (unsigned long long)plan->due_bytes, ms, usage.ru_maxrss);
}

int main(int argc, char **argv)
{
	struct mm_source source = {.url = getenv("MMR_TEST_CONNINFO")};
	struct plan_options options = {0};
	struct policy_problems *problems = NULL;
	struct err err = {0};
	struct policy *policy;
	struct mm *mm;
	struct plan *plan;
	bool list = false;
	int64_t start;

	mem_setup();
	for (int i = 2; i < argc; i++) {
		options.sizes = options.sizes || strcmp(argv[i], "--sizes") == 0;
		options.strays = options.strays || strcmp(argv[i], "--strays") == 0;
		list = list || strcmp(argv[i], "--list") == 0;
	}
	if (getenv("MMR_TEST_NOW"))
		time_override_ms(strtoll(getenv("MMR_TEST_NOW"), NULL, 10));
	if (policy_load(NULL, argv[1], &policy, &problems, &err) < 0) {
		for (size_t i = 0; problems && i < problems->n; i++)
			fprintf(stderr, "%u:%u: %s\n", problems->item[i].line, problems->item[i].column,
				problems->item[i].text);
		return fail(&err);
	}
	if (mm_open(NULL, &source, &mm, &err) < 0 || mm_probe(mm, &err) < 0)
		return fail(&err);
	start = time_mono_us();
	if (plan_build(NULL, policy, mm, &options, &plan, &err) < 0)
		return fail(&err);
	print_plan(plan, (double)(time_mono_us() - start) / 1000);
	if (list)
		print_due(plan);
	return 0;
}
