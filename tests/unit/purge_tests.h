/* purge_tests.h - the cases of the purge suite that have a file of their own. */
#ifndef PURGE_TESTS_H
#define PURGE_TESTS_H

#include <check.h>

TCase *missing_tests(void);

#endif
