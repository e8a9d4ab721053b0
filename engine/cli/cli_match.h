/*
 * cli_match.h - the policy's names against the database (check --db).
 */
#ifndef CLI_MATCH_H
#define CLI_MATCH_H

#include <mmretain/policy.h>

#include "cli.h"

struct mm_scope;
/* What the policy wants to know of a channel; borrows from it. */
struct policy_scope cli_policy_scope(const struct mm_scope *s);

struct people_plan;
struct cli_match_result {
	size_t channels, ungoverned;
	const struct people_plan *listed; /* NULL: the policy names no list of departed persons */
};

/* Adds an error for every tie and a warning for every selector that matches nothing and every account that does not
 * exist. */
int cli_match_names(struct cli *cli, struct policy_problems *problems, struct cli_match_result *ret,
		    struct err *err) MMR_CHECKED;
/* The same, and the list of departed persons. */
int cli_match_check(struct cli *cli, struct policy_problems *problems, struct cli_match_result *ret,
		    struct err *err) MMR_CHECKED;

#endif
