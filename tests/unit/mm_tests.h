/* mm_tests.h - the test cases of the mm room, each file one. */
#ifndef MM_TESTS_H
#define MM_TESTS_H

#include <check.h>

TCase *mm_dsn_case(void);
TCase *mm_config_case(void);
TCase *mm_kinds_case(void);
TCase *mm_journal_case(void);

#endif
