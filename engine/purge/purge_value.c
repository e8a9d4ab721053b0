/* purge_value.c - what most rows have in a column, so that a line of a bundle leaves it out. */
#include "purge_internal.h"

#include <string.h>

/* Where it is not the usual value of the type: the server writes empty lists as text, and NULL into posts of its own.
 */
static const struct { enum mm_kind kind; const char *column, *text; } usual[] = {
	{MM_POST, "filenames", "[]"}, {MM_POST, "fileids", "[]"}, {MM_POST, "remoteid", NULL},
	{MM_MEMBER, "following", "t"},
	{MM_PREF, "category", "flagged_post"}, {MM_PREF, "value", "true"}, {MM_TRANSLATION, "objecttype", "post"},
	{MM_PROPERTY, "targettype", "post"},
};

const char *purge_usual_value(enum mm_kind kind, const char *column, enum bundle_type type)
{
	for (size_t i = 0; i < ARRAY_LEN(usual); i++)
		if (usual[i].kind == kind && strcmp(usual[i].column, column) == 0)
			return usual[i].text;
	switch (type) {
	case BT_TEXT: return "";
	case BT_INT: return "0";
	case BT_BOOL: return "f";
	case BT_JSON: return "{}";
	case BT_BYTES:
	case BT_ARRAY:
	case BT_REAL: return NULL;
	}
	return NULL;
}
