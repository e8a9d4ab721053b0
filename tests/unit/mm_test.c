/* mm_test.c - the parts of the mm room that need no server. */
#include <mmretain/mm.h>

#include "mm_tests.h"
#include "../support/suite.h"

int main(void)
{
	Suite *suite = suite_create("mm");

	suite_add_tcase(suite, mm_dsn_case());
	suite_add_tcase(suite, mm_config_case());
	suite_add_tcase(suite, mm_kinds_case());
	suite_add_tcase(suite, mm_journal_case());
	return suite_run(suite);
}
