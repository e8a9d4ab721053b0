/*
 * bundle_erase_text.c - the members beside the rows without one person: names, attachments, salts, and the counts.
 *
 * Lines that do not change are copied as they are.
 */
#include "bundle_internal.h"
#include <jansson.h>

#include <string.h>
#include <uthash.h>

static const char gone_name[] = BUNDLE_ERASED_NAME;
/* of the account names that the server keeps in the display name of a group message; it cuts off what is behind */
enum { GROUP_NAME_BYTES = 64 };

/* ---- lines of a member ---- */

typedef int (*text_line_fn)(struct bundle_erasure *e, void *payload, const char *line, size_t len, struct err *err);

static int each_line(struct bundle_erasure *e, const char *member, text_line_fn fn, void *payload, struct err *err)
{
	char *text;
	size_t len;
	int rc = bundle_read_member(e->r, e, member, TEXT_MEMBER_MAX, &text, &len, err);

	if (rc == -ERR_NOT_FOUND) {
		err_clear(err); /* left out when empty */
		return 0;
	}
	if (rc)
		return rc;
	for (const char *p = text, *end = text + len; p < end && !rc;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl)
			return err_set(err, ERR_VERIFY, "\"%s\" is damaged: %s does not end with a newline", e->r->name,
				       member);
		rc = fn(e, payload, p, (size_t)(nl - p), err);
		p = nl + 1;
	}
	talloc_free(text);
	return rc;
}

static void put_line(struct buf *b, const char *line, size_t len)
{
	buf_put(b, line, len);
	buf_byte(b, '\n');
}

/* The raw value of a key; NULL: it is not there, or no string. */
static const char *value_of(const char *line, size_t len, const char *key, size_t *ret_len)
{
	struct json_scan s;

	json_scan_init(&s, line, len);
	while (json_scan_next(&s)) {
		if (s.type == JSON_STR && s.key_len == strlen(key) && memcmp(s.key, key, s.key_len) == 0) {
			*ret_len = s.val_len;
			return s.val;
		}
	}
	return NULL;
}

static bool value_is(const char *line, size_t len, const char *key, const char *want)
{
	size_t n;
	const char *v = value_of(line, len, key, &n);

	return v && n == strlen(want) && memcmp(v, want, n) == 0;
}

/* ---- people and channels ---- */

/* that the person had; shared: somebody else in this bundle has it, too */
struct names { char **name; size_t n; bool *shared; };

static void names_add(struct bundle_erasure *e, struct names *l, const char *name, size_t len)
{
	for (size_t i = 0; i < l->n; i++)
		if (strlen(l->name[i]) == len && memcmp(l->name[i], name, len) == 0)
			return;
	l->name = mem_grow(e, l->name, char *, l->n + 1);
	l->shared = mem_grow(e, l->shared, bool, l->n + 1);
	l->name[l->n] = mem_strndup(e, name, len);
	l->shared[l->n++] = false;
}

static int on_own_name(struct bundle_erasure *e, void *payload, const char *line, size_t len, struct err *err)
{
	size_t n;
	const char *name = value_of(line, len, "name", &n);

	(void)err;
	if (name && n > 0 && value_is(line, len, "id", e->q->owner))
		names_add(e, payload, name, n);
	return 0;
}

static int on_user(struct bundle_erasure *e, void *payload, const char *line, size_t len, struct err *err)
{
	struct names *l = payload;

	(void)err;
	if (value_is(line, len, "id", e->q->owner)) {
		e->sum.names++;
		return 0;
	}
	for (size_t i = 0; i < l->n; i++)
		l->shared[i] |= value_is(line, len, "name", l->name[i]);
	put_line(&e->users, line, len);
	return 0;
}

static bool had(const struct names *l, const char *name, size_t len)
{
	for (size_t i = 0; i < l->n; i++)
		if (!l->shared[i] && strlen(l->name[i]) == len && memcmp(l->name[i], name, len) == 0)
			return true;
	return false;
}

/* The name of a direct message is the two ids; of notes to oneself twice the same one. */
static bool change_direct(struct bundle_erasure *e, json_t *o)
{
	const char *name = json_string_value(json_object_get(o, "name")), *at = name ? strstr(name, e->q->owner) : NULL;
	size_t len = strlen(e->q->owner);
	struct buf b;

	if (!at)
		return false;
	buf_init(&b, e, 1u << 20);
	for (; at; at = strstr(name, e->q->owner)) {
		buf_put(&b, name, (size_t)(at - name));
		buf_puts(&b, gone_name);
		name = at + len;
	}
	buf_puts(&b, name);
	json_object_set_new(o, "name", json_stringn(b.data, b.len));
	buf_reset(&b);
	return true;
}

static bool change_members(const struct names *l, json_t *o)
{
	json_t *members = json_object_get(o, "members");
	bool changed = false;

	for (size_t i = 0; i < json_array_size(members); i++) {
		const char *name = json_string_value(json_array_get(members, i));
		if (!name || !had(l, name, strlen(name)))
			continue;
		json_array_set_new(members, i, json_string(gone_name));
		changed = true;
	}
	return changed;
}

/* May the last name in it be only the beginning of one?  Where others were erased before, its length tells nothing. */
static bool perhaps_cut(const char *display)
{
	return strlen(display) == GROUP_NAME_BYTES || strstr(display, gone_name) != NULL;
}

/* Of two people whose names begin so either may be meant: `members` has the other one as a whole. */
static bool had_beginning(const struct names *l, const char *name, size_t len)
{
	len -= len > 0 && name[len - 1] == ',';
	for (size_t i = 0; len > 0 && i < l->n; i++)
		if (!l->shared[i] && strncmp(l->name[i], name, len) == 0)
			return true;
	return false;
}

/* The display name of a group message is the account names, divided by commas. */
static bool change_display(struct bundle_erasure *e, const struct names *l, json_t *o)
{
	const char *text = json_string_value(json_object_get(o, "display_name"));
	bool changed = false, cut = text && perhaps_cut(text);
	struct buf b;

	buf_init(&b, e, 1u << 20);
	for (const char *p = text; p;) {
		const char *comma = strstr(p, ", ");
		size_t len = comma ? (size_t)(comma - p) : strlen(p);
		bool own = had(l, p, len) || (!comma && cut && had_beginning(l, p, len));
		changed |= own;
		buf_put(&b, own ? gone_name : p, own ? strlen(gone_name) : len);
		buf_puts(&b, comma ? ", " : "");
		p = comma ? comma + 2 : NULL;
	}
	if (changed)
		json_object_set_new(o, "display_name", json_stringn(b.data, b.len));
	buf_reset(&b);
	return changed;
}

static int on_channel(struct bundle_erasure *e, void *payload, const char *line, size_t len, struct err *err)
{
	json_error_t je;
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, &je);
	const char *type = json_string_value(json_object_get(o, "type"));
	bool changed = false;

	if (!json_is_object(o)) {
		json_decref(o);
		return err_set(err, ERR_VERIFY, "\"%s\" is damaged: data/names/channels.jsonl is not JSON", e->r->name);
	}
	if (type && strcmp(type, "D") == 0)
		changed = change_direct(e, o);
	if (type && strcmp(type, "G") == 0) {
		changed = change_members(payload, o);
		changed |= change_display(e, payload, o);
	}
	char *text = changed ? json_dumps(o, JSON_COMPACT) : NULL;
	put_line(&e->channels, text ? text : line, text ? strlen(text) : len);
	free(text);
	json_decref(o);
	e->sum.names += changed;
	return 0;
}

/* ---- attachments ---- */

struct known { UT_hash_handle hh; bool used; uint64_t bytes; size_t len; char key[]; };
struct files { struct known *ids, *blobs; }; /* file rows that go; digests that their lines name */

static struct known *known_find(struct known *table, const char *key, size_t len)
{
	struct known *k;

	HASH_FIND(hh, table, key, len, k);
	return k;
}

static struct known *known_add(void *ctx, struct known **table, const char *key, size_t len)
{
	struct known *k = known_find(*table, key, len);

	if (k)
		return k;
	k = mem_check(talloc_zero_size(ctx, sizeof(*k) + len + 1));
	memcpy(k->key, key, len);
	k->len = len;
	HASH_ADD_KEYPTR(hh, *table, k->key, k->len, k);
	return k;
}

static bool file_goes(const struct files *f, const char *line, size_t len)
{
	size_t n;
	const char *id = value_of(line, len, "file", &n);

	return id && known_find(f->ids, id, n);
}

static uint64_t size_of(const char *line, size_t len)
{
	struct json_scan s;

	json_scan_init(&s, line, len);
	while (json_scan_next(&s))
		if (s.type == JSON_NUMBER && s.key_len == 4 && memcmp(s.key, "size", 4) == 0)
			return (uint64_t)codec_int(&(struct bundle_field){.data = s.val, .len = s.val_len});
	return 0;
}

static int on_file(struct bundle_erasure *e, void *payload, const char *line, size_t len, struct err *err)
{
	struct files *f = payload;
	size_t n;
	const char *hex = value_of(line, len, "sha256", &n);
	size_t state_len = 0;
	const char *state = value_of(line, len, "state", &state_len);
	enum file_state is = file_state_of(state ? state : "", state_len);
	bool goes = file_goes(f, line, len);

	(void)err;
	if (hex && n == DIGEST_HEX && is == FILE_STORED) {
		struct known *k = known_add(e, &f->blobs, hex, n);
		k->used |= !goes;
		k->bytes = size_of(line, len);
	}
	if (goes)
		return 0;
	if (is != FILE_STATES)
		e->n_files[is]++;
	put_line(&e->files, line, len);
	return 0;
}

static int files_text(struct bundle_erasure *e, struct err *err)
{
	struct files f = {NULL, NULL};

	for (const char *p = e->files_gone.data, *end = p + e->files_gone.len; p < end;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		known_add(e, &f.ids, p, (size_t)(nl - p))->used = true;
		p = nl + 1;
	}
	int rc = each_line(e, "data/files.jsonl", on_file, &f, err);
	for (struct known *k = f.blobs; k && !rc; k = k->hh.next) {
		struct erase_blob blob = {.bytes = k->bytes};
		if (k->used || !hex_decode(k->key, DIGEST_BYTES, blob.sha256.b))
			continue;
		e->blob = mem_grow(e, e->blob, struct erase_blob, e->n_blobs + 1);
		e->blob[e->n_blobs++] = blob;
		e->sum.blobs++;
		e->sum.blob_bytes += blob.bytes;
	}
	HASH_CLEAR(hh, f.ids);
	HASH_CLEAR(hh, f.blobs);
	return rc;
}

/* ---- salts ---- */

static int on_salt(struct bundle_erasure *e, void *payload, const char *line, size_t len, struct err *err)
{
	bool *found = payload;

	(void)err;
	if (value_is(line, len, "owner", e->q->owner))
		*found = true;
	else
		put_line(&e->salts, line, len);
	return 0;
}

int erase_texts(struct bundle_erasure *e, struct err *err)
{
	struct names names = {.n = 0};
	bool salt = false;

	for (size_t i = 0; i < e->q->n_names; i++)
		names_add(e, &names, e->q->name[i], strlen(e->q->name[i]));
	int rc = each_line(e, "data/names/users.jsonl", on_own_name, &names, err);
	if (!rc)
		rc = each_line(e, "data/names/users.jsonl", on_user, &names, err);
	if (!rc)
		rc = each_line(e, "data/names/channels.jsonl", on_channel, &names, err);
	if (!rc)
		rc = files_text(e, err);
	if (!rc)
		rc = each_line(e, "salts.jsonl", on_salt, &salt, err);
	e->sum.known = e->sum.rows > 0 || e->sum.names > 0 || salt;
	return rc;
}

/* ---- counts ---- */

static json_t *counts(const struct bundle_erasure *e, const uint64_t *n, bool all)
{
	json_t *o = json_object();

	for (size_t i = 0; i < e->rules->n_kinds; i++)
		if (all || n[i] > 0)
			json_object_set_new(o, e->rules->kind[i].kind, json_integer((json_int_t)n[i]));
	return o;
}

static json_t *file_counts(const struct bundle_erasure *e)
{
	json_t *o = json_object();

	for (size_t i = 0; i < FILE_STATES; i++)
		json_object_set_new(o, file_states[i], json_integer((json_int_t)e->n_files[i]));
	return o;
}

/* One key a line, as it was written. */
static void dump(struct buf *b, json_t *o)
{
	const char *key;
	json_t *value;
	size_t n = json_object_size(o);

	buf_puts(b, "{\n");
	json_object_foreach(o, key, value) {
		char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		json_put_string(b, key, strlen(key));
		buf_printf(b, ":%s%s\n", text, --n ? "," : "");
		free(text);
	}
	buf_puts(b, "}\n");
}

int erase_bundle_json(struct bundle_erasure *e, const struct row_sum *sum, struct buf *b, struct err *err)
{
	json_error_t je;
	char *text;
	size_t len;
	int rc = bundle_read_member(e->r, e, "data/bundle.json", 1u << 20, &text, &len, err);

	if (rc)
		return rc;
	json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
	talloc_free(text);
	if (!json_is_object(o)) {
		json_decref(o);
		return err_set(err, ERR_VERIFY, "\"%s\" is damaged: data/bundle.json is not JSON", e->r->name);
	}
	json_object_set_new(o, "posts", json_integer((json_int_t)sum->posts));
	json_object_set_new(o, "row_bytes", json_integer((json_int_t)sum->bytes));
	json_object_set_new(o, "kinds", counts(e, sum->kind, true));
	json_object_set_new(o, "files", file_counts(e));
	json_object_set_new(o, "blobs", json_integer((json_int_t)e->w->sum.blobs));
	json_object_set_new(o, "erased", counts(e, sum->erased, false));
	dump(b, o);
	json_decref(o);
	return 0;
}

int erase_bag_info(struct bundle_erasure *e, struct buf *b, struct err *err)
{
	static const char label[] = "Payload-Oxum: ";
	const struct bundle_writer *w = e->w;
	uint64_t bytes = 0, n = 0;
	char *text;
	size_t len;
	int rc = bundle_read_member(e->r, e, "bag-info.txt", 1u << 20, &text, &len, err);

	if (rc)
		return rc;
	for (size_t i = 0; i < w->n_members; i++) {
		bool payload = strncmp(w->member[i].name, "data/", 5) == 0;
		bytes += payload ? w->member[i].bytes : 0;
		n += payload;
	}
	for (const char *p = text, *end = text + len, *nl; p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl)
			return err_set(err, ERR_VERIFY, "\"%s\" is damaged: bag-info.txt does not end with a newline",
				       e->r->name);
		if ((size_t)(nl - p) > strlen(label) && memcmp(p, label, strlen(label)) == 0)
			buf_printf(b, "%s%llu.%llu\n", label, (unsigned long long)bytes, (unsigned long long)n);
		else
			put_line(b, p, (size_t)(nl - p));
	}
	talloc_free(text);
	return 0;
}
