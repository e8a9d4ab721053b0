/* audit_tests.h - the cases of the other files of this suite. */
#ifndef AUDIT_TESTS_H
#define AUDIT_TESTS_H

#include <check.h>

TCase *audit_find_case(void);

#endif
