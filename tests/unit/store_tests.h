/* store_tests.h - cases of the store suite in other files. */
#ifndef STORE_TESTS_H
#define STORE_TESTS_H

#include <check.h>

TCase *store_mirror_case(void);

#endif
