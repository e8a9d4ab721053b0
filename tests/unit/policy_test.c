/* The policy room: files to rules, the ladder, what is refused and how. */
#include "policy_tests.h"
#include "../support/suite.h"

#include <string.h>

struct policy *parse_good(void *ctx, const char *text)
{
	struct policy_problems *problems = NULL;
	struct policy *p = NULL;
	struct err err = {0};

	ck_assert_msg(policy_parse(ctx, "test", text, strlen(text), &p, &problems, &err) == 0, "%s\nin:\n%s", err.msg,
		      text);
	ck_assert_uint_eq(problems->n_errors, 0);
	return p;
}

int main(void)
{
	Suite *s = suite_create("policy");

	suite_add_tcase(s, policy_match_cases());
	suite_add_tcase(s, policy_value_cases());
	suite_add_tcase(s, policy_file_cases());
	suite_add_tcase(s, policy_corpus_cases());
	suite_add_tcase(s, policy_docs_cases());
	return suite_run(s);
}
