/* bundle_parts.c - does a bundle hold whole threads, or parts of threads that stayed? */
#include "bundle_internal.h"

#include <jansson.h>

enum { ABOUT_MAX = 1 << 20 };

int bundle_read_parts(struct bundle_reader *r, int64_t *ret_before_ms, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "parts");
	json_error_t je;
	char *text;
	size_t len;
	int rc = bundle_read_member(r, tmp, "data/bundle.json", ABOUT_MAX, &text, &len, err);

	if (rc < 0)
		return rc;
	json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je), *parts = json_object_get(o, "parts");
	json_t *cutoff = json_object_get(o, "cutoff_ms");
	bool sound = json_is_object(o) &&
		     (!parts || (json_is_boolean(parts) && (json_is_false(parts) || json_is_integer(cutoff))));

	rc = sound && json_is_true(parts);
	if (rc)
		*ret_before_ms = json_integer_value(cutoff);
	json_decref(o);
	return sound ? rc
		     : err_set(err, ERR_VERIFY,
			       "\"%s\" is damaged: data/bundle.json does not say what the bundle holds", r->name);
}
