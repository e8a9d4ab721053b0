/* bundle_bag.c - what BagIt promises: manifests that name every member, and the sums in bag-info.txt and bundle.json.
 */
#include "bundle_internal.h"
#include <jansson.h>

#include <string.h>

static int by_name(const void *a, const void *b)
{
	const struct member *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int no_duplicates(const struct member *member, size_t n, struct err *err)
{
	const struct member **sorted = mem_array(NULL, const struct member *, n + 1);
	int rc = 0;

	for (size_t i = 0; i < n; i++)
		sorted[i] = &member[i];
	qsort(sorted, n, sizeof(*sorted), by_name);
	for (size_t i = 1; i < n && !rc; i++)
		if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
			rc = err_set(err, ERR_VERIFY, "member \"%s\" is there twice", sorted[i]->name);
	talloc_free(sorted);
	return rc;
}

static bool is_data(const struct member *m)
{
	return strncmp(m->name, "data/", 5) == 0;
}

/* A manifest names its members in the order of the file, so one pass compares both. */
static int manifest_check(const struct member *member, size_t n, bool payload, const char *p, size_t len,
			  struct err *err)
{
	const char *end = p + len;
	char hex[DIGEST_HEX + 1];

	for (size_t i = 0; i < n; i++) {
		if (is_data(&member[i]) != payload)
			continue;
		size_t name_len = strlen(member[i].name), line = DIGEST_HEX + 2 + name_len + 1;
		digest_hex(&member[i].sha256, hex);
		if ((size_t)(end - p) < line || memcmp(p + DIGEST_HEX, "  ", 2) != 0 ||
		    memcmp(p + DIGEST_HEX + 2, member[i].name, name_len) != 0 || p[line - 1] != '\n')
			return err_set(err, ERR_VERIFY, "the manifest does not name member \"%s\" in its place",
				       member[i].name);
		if (memcmp(p, hex, DIGEST_HEX) != 0)
			return err_set(err, ERR_VERIFY, "member \"%s\" has another digest than the manifest says",
				       member[i].name);
		p += line;
	}
	if (p != end)
		return err_set(err, ERR_VERIFY, "the manifest names a member that is not there");
	return 0;
}

static int oxum_check(const struct member *member, size_t n, const char *info, size_t len, struct err *err)
{
	uint64_t bytes = 0, files = 0;
	char want[96];

	for (size_t i = 0; i < n; i++) {
		if (is_data(&member[i])) {
			bytes += member[i].bytes;
			files++;
		}
	}
	(void)snprintf(want, sizeof(want), "\nPayload-Oxum: %llu.%llu\n", (unsigned long long)bytes,
		       (unsigned long long)files);
	if (!memmem(info, len, want, strlen(want)))
		return err_set(err, ERR_VERIFY, "bag-info.txt names another number or size of files");
	return 0;
}

int bag_check(const struct member *member, size_t n, const char *manifest, size_t manifest_len, const char *tagmanifest,
	      size_t tagmanifest_len, const char *bag_info, size_t bag_info_len, struct err *err)
{
	int rc = no_duplicates(member, n, err);

	if (!rc)
		rc = manifest_check(member, n, true, manifest, manifest_len, err);
	/* The last two members are the tag manifest itself and mmretain.json, which holds its digest. */
	if (!rc)
		rc = manifest_check(member, n - 2, false, tagmanifest, tagmanifest_len, err);
	return rc ? rc : oxum_check(member, n, bag_info, bag_info_len, err);
}

int check_counts(const struct row_rules *c, const struct row_sum *sum, const char *json, size_t len, struct err *err)
{
	json_error_t je;
	json_t *o = json_loadb(json, len, JSON_REJECT_DUPLICATES, &je);
	json_t *kinds = json_object_get(o, "kinds"), *erased = json_object_get(o, "erased");
	bool ok = json_object_size(kinds) == c->n_kinds;

	for (size_t i = 0; i < c->n_kinds && ok; i++)
		ok = (uint64_t)json_integer_value(json_object_get(kinds, c->kind[i].kind)) == sum->kind[i] &&
		     (uint64_t)json_integer_value(json_object_get(erased, c->kind[i].kind)) == sum->erased[i];
	json_decref(o);
	return ok ? 0 : err_set(err, ERR_VERIFY, "data/bundle.json names other numbers of rows than there are");
}
