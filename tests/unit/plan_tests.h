/* plan_tests.h - the test cases of the plan room, each file one. */
#ifndef PLAN_TESTS_H
#define PLAN_TESTS_H

#include <check.h>

TCase *plan_decide_case(void);
TCase *plan_guard_case(void);
TCase *plan_thread_case(void);

#endif
