/* bundle_bag.c - what BagIt promises: manifests that name every member, and the sums in bag-info.txt; and what
 * data/bundle.json and data/files.jsonl say of rows and attachments. */
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

/* ---- what the bundle says of its rows and attachments ---- */

static bool is_here(const struct bundle_reader *r, const char *hex)
{
	char name[96];
	size_t at;

	(void)snprintf(name, sizeof(name), "data/files/%.2s/%.*s", hex, DIGEST_HEX, hex); /* fits */
	return frames_find(r, name, &at) > 0;
}

static int file_check(const struct bundle_reader *r, const char *line, size_t len, uint64_t n[FILE_STATES],
		      struct err *err)
{
	enum file_state state = FILE_STATES;
	const char *hex = NULL;
	struct json_scan s;

	json_scan_init(&s, line, len);
	while (json_scan_next(&s)) {
		if (s.type == JSON_STR && s.key_len == 5 && memcmp(s.key, "state", 5) == 0)
			state = file_state_of(s.val, s.val_len);
		if (s.type == JSON_STR && s.key_len == 6 && memcmp(s.key, "sha256", 6) == 0)
			hex = s.val_len == DIGEST_HEX ? s.val : NULL;
	}
	if (s.bad || state == FILE_STATES)
		return err_set(err, ERR_VERIFY, "data/files.jsonl has a line that is not about an attachment");
	if (state == FILE_STORED && (!hex || !is_here(r, hex)))
		return err_set(err, ERR_VERIFY, "data/files.jsonl calls an attachment stored that is not here");
	n[state]++;
	return 0;
}

int files_check(const struct bundle_reader *r, const char *text, size_t len, uint64_t ret_n[FILE_STATES],
		struct err *err)
{
	int rc = 0;

	memset(ret_n, 0, FILE_STATES * sizeof(*ret_n));
	if (len == 0) /* then text may be NULL */
		return 0;
	for (const char *p = text, *end = p + len, *nl; p < end && !rc; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl)
			return err_set(err, ERR_VERIFY, "data/files.jsonl does not end with a newline");
		rc = file_check(r, p, (size_t)(nl - p), ret_n, err);
	}
	return rc;
}

static bool says(json_t *o, const char *key, uint64_t n)
{
	return (uint64_t)json_integer_value(json_object_get(o, key)) == n; /* absent: 0 */
}

static bool says_kinds(json_t *o, const struct row_rules *c, const struct row_sum *rows)
{
	json_t *kinds = json_object_get(o, "kinds"), *erased = json_object_get(o, "erased");
	bool ok = json_object_size(kinds) == c->n_kinds;

	for (size_t i = 0; i < c->n_kinds && ok; i++)
		ok = says(kinds, c->kind[i].kind, rows->kind[i]) && says(erased, c->kind[i].kind, rows->erased[i]);
	return ok;
}

int check_counts(const struct row_rules *c, const struct row_sum *rows, const struct bundle_check *sum,
		 const uint64_t n_files[FILE_STATES], const char *json, size_t len, struct err *err)
{
	json_error_t je;
	json_t *o = json_loadb(json, len, JSON_REJECT_DUPLICATES, &je);
	bool same_rows = says_kinds(o, c, rows) && says(o, "threads", sum->threads) && says(o, "rows", sum->rows) &&
			 says(o, "posts", sum->posts) && says(o, "row_bytes", sum->raw_bytes);
	bool same_files = says(o, "blobs", sum->blobs);

	for (size_t i = 0; i < FILE_STATES; i++)
		same_files &= says(json_object_get(o, "files"), file_states[i], n_files[i]);
	json_decref(o);
	return same_rows && same_files
		       ? 0
		       : err_set(err, ERR_VERIFY, "data/bundle.json names other numbers of %s than there are",
				 same_rows ? "files" : "rows");
}
