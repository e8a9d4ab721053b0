/*
 * earlier_values.c - the program whose bundles leave out other values than today's: those that versions before it left
 * out, one for each type.
 *
 * Linked before the rooms, it stands for engine/purge/purge_value.c.
 */
#include "purge_internal.h"

const char *purge_usual_value(enum mm_kind kind, const char *column, enum bundle_type type)
{
	static const char *const value[] = {[BT_TEXT] = "",    [BT_INT] = "0",	  [BT_BOOL] = "f", [BT_JSON] = "{}",
					    [BT_BYTES] = NULL, [BT_ARRAY] = NULL, [BT_REAL] = NULL};

	(void)kind;
	(void)column;
	return value[type];
}
