/* catalog_tests.h - the cases of the other files of this suite. */
#ifndef CATALOG_TESTS_H
#define CATALOG_TESTS_H

#include <check.h>

TCase *catalog_add_case(void);

#endif
