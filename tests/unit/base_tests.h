/* base_tests.h - the test cases of the base room that are in files of their own. */
#ifndef BASE_TESTS_H
#define BASE_TESTS_H

#include <mmretain/base.h>

#include <check.h>

TCase *base_buf_case(void);
TCase *base_file_case(void);

#endif
