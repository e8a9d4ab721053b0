/* mm_home.c - is it the database of an earlier run or plan?  A role that may not read the server's identifier cannot
 * tell. */
#include <mmretain/mm.h>

#include <string.h>

enum mm_home mm_home(const struct mm_schema *schema, const char *system, const char *database)
{
	const char *now = schema && schema->system_identifier ? schema->system_identifier : "";

	if (strcmp(database, schema && schema->database ? schema->database : "") != 0)
		return MM_HOME_OTHER;
	if (strcmp(system, now) == 0)
		return MM_HOME_SAME;
	return !*now ? MM_HOME_HIDDEN : !*system ? MM_HOME_SHOWN : MM_HOME_OTHER;
}

const char *mm_home_problem(enum mm_home home)
{
	if (home == MM_HOME_HIDDEN)
		return "the server's identifier cannot be read any more: the role has lost the right to "
		       "pg_control_system()";
	return "the server's identifier could not be read then, and can be now: the role was given the right to "
	       "pg_control_system()";
}
