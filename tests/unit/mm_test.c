/* mm_test.c - the parts of the mm room that need no server. */
#include <mmretain/mm.h>

#include <stdlib.h>

#include "mm_tests.h"

int main(void)
{
	Suite *suite = suite_create("mm");
	SRunner *runner;
	int failed;

	suite_add_tcase(suite, mm_dsn_case());
	suite_add_tcase(suite, mm_config_case());
	suite_add_tcase(suite, mm_kinds_case());
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
