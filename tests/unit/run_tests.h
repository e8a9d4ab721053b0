/* run_tests.h - the test cases of the run room, each file one, and the folder with a ledger that they share. */
#ifndef RUN_TESTS_H
#define RUN_TESTS_H

#include <check.h>

#include <jansson.h>

#include "run_internal.h"

extern void *ctx;                    /* of one test */
extern int ledger_dir;               /* an empty folder of one test */
struct ledger *must_open(void);
/* The state that the lines so far make. */
struct ledger_state *must_fold(void);
/* The lines so far, each parsed; of this type only. */
json_t *lines_of(const char *type);
/* A run with this policy and these options, and a report of its own. */
struct run *new_run(const struct policy *policy, const struct run_options *options);
void id_of(mm_id ret, unsigned n);   /* the same id for the same n; in the order of n */

TCase *run_clock_case(void);
TCase *run_due_case(void);
TCase *run_expire_case(void);
TCase *run_held_case(void);
TCase *run_line_case(void);
TCase *run_recover_case(void);

#endif
