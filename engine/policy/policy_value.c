/* One value: text of the file to a field of a struct. */
#include "policy_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define Q(v) policy_quote(b->scratch, (v)->text, (v)->len)

bool policy_node_is_null(const struct node *n)
{
	return n->kind == NODE_SCALAR && n->plain &&
	       (n->len == 0 || strcmp(n->text, "~") == 0 || strcmp(n->text, "null") == 0);
}

static void store_int(const struct policy_key *k, void *base, int64_t value)
{
	void *at = (char *)base + k->at;

	switch (k->width) {
	case 1:
		*(bool *)at = value != 0;
		return;
	case 4:
		*(int32_t *)at = (int32_t)value;
		return;
	case 8:
		*(int64_t *)at = value;
		return;
	}
	assert(false);
}

static void mark(const struct policy_key *k, void *base)
{
	if (k->has)
		*(bool *)((char *)base + k->has) = true;
}

/* A text within its length, without control characters (notes may have several lines). */
static bool text_ok(struct binder *b, const struct policy_key *k, const struct node *v, size_t max)
{
	if (v->len > max) {
		policy_problem(b->problems, v, "`%s` is longer than %zu bytes", k->name, max);
		policy_hint(b->problems, "Shorten it.");
		return false;
	}
	for (size_t i = 0; i < v->len; i++) {
		unsigned char c = (unsigned char)v->text[i];

		if ((c >= 0x20 && c != 0x7F) || (k->kind == KIND_NOTE && (c == '\n' || c == '\t')))
			continue;
		policy_problem(b->problems, v, "`%s` holds a control character (0x%02x)", k->name, c);
		policy_hint(b->problems, k->kind == KIND_NOTE ? "Remove it." : "Write it on one line, without tabs.");
		return false;
	}
	return true;
}

static bool name_ok(struct binder *b, const struct policy_key *k, const struct node *v)
{
	for (size_t i = 0; i < v->len; i++) {
		char c = v->text[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    (i > 0 && (c == '.' || c == '_' || c == '-')))
			continue;
		policy_problem(b->problems, v, "`%s` %s is not a plain name", k->name, Q(v));
		policy_hint(b->problems, "Use letters, digits, `.`, `_`, `-`, and begin with a letter or digit%s.",
			    strcmp(k->name, "name") != 0	? ""
			    : strcmp(k->example, "alarms") == 0 ? "; free text goes into `description`"
								: "; free text goes into `because`");
		return false;
	}
	return true;
}

static bool path_ok(struct binder *b, const struct policy_key *k, const struct node *v)
{
	if (v->text[0] == '/')
		return true;
	if (strncmp(v->text, "s3://", 5) == 0 && strcmp(k->name, "store") == 0) {
		policy_problem(b->problems, v, "`store` is a folder; a bucket holds a copy of it");
		policy_hint(b->problems, "Write a folder, such as `store: /var/lib/mmretain/archive`, and the bucket "
					 "into `mirror: {bucket: ...}`.");
		return false;
	}
	policy_problem(b->problems, v, "`%s` %s is not an absolute path", k->name, Q(v));
	policy_hint(b->problems, "Write the whole path, beginning with `/`; a nightly run has no folder of its own.");
	return false;
}

/* What is neither may hold a password, and is not shown. */
static bool source_ok(struct binder *b, const struct policy_key *k, const struct node *v)
{
	if (v->text[0] == '/' || policy_is_url(v->text))
		return true;
	if (!strpbrk(v->text, ":="))
		return path_ok(b, k, v);
	policy_problem(b->problems, v, "`%s` is neither an absolute path nor a PostgreSQL URL", k->name);
	policy_hint(b->problems, "Write the path of the server's config.json, or `%s: "
				 "postgres://mattermost@localhost/mattermost` of a server that keeps its configuration "
				 "in the database.",
		    k->name);
	return false;
}

static void bind_text(struct binder *b, const struct policy_key *k, const struct node *v, void *base)
{
	if (!text_ok(b, k, v, (size_t)k->max))
		return;
	if (v->text[strspn(v->text, " \t\n")] == '\0') {
		policy_problem(b->problems, v, "`%s` is empty", k->name);
		policy_hint(b->problems, "Write something such as `%s: %s`.", k->name, k->example);
		return;
	}
	if ((k->kind == KIND_NAME && !name_ok(b, k, v)) || (k->kind == KIND_PATH && !path_ok(b, k, v)) ||
	    (k->kind == KIND_PATH_OR_URL && !source_ok(b, k, v)))
		return;
	*(char **)((char *)base + k->at) = mem_strdup(b->ctx, v->text);
	mark(k, base);
}

static void bind_yesno(struct binder *b, const struct policy_key *k, const struct node *v, void *base)
{
	bool yes = strcmp(v->text, "yes") == 0 || strcmp(v->text, "true") == 0;

	if (!yes && strcmp(v->text, "no") != 0 && strcmp(v->text, "false") != 0) {
		policy_problem(b->problems, v, "`%s` is yes or no, not %s", k->name, Q(v));
		policy_hint(b->problems, "Write `%s: yes` or `%s: no`.", k->name, k->name);
		return;
	}
	store_int(k, base, yes);
	mark(k, base);
}

static bool only_digits(const char *text)
{
	return *text && text[strspn(text, "0123456789")] == '\0';
}

static bool whole_number(const char *text, int64_t *ret)
{
	const char *p = text + (*text == '-');
	char *end;

	if (*p < '0' || *p > '9' || strlen(p) > 18)
		return false;
	*ret = strtoll(text, &end, 10);
	return *end == '\0';
}

static void bind_number(struct binder *b, const struct policy_key *k, const struct node *v, void *base)
{
	int64_t n;

	if (only_digits(v->text) && v->len > 18) {
		policy_problem(b->problems, v, "`%s` %s is too large", k->name, Q(v));
		policy_hint(b->problems, "Write a smaller number, such as `%s: %s`.", k->name, k->example);
		return;
	}
	if (!whole_number(v->text, &n)) {
		policy_problem(b->problems, v, "`%s` is a whole number, not %s", k->name, Q(v));
		policy_hint(b->problems, "Write digits only, such as `%s: %s`.", k->name, k->example);
		return;
	}
	if (n >= k->min && n <= k->max) {
		store_int(k, base, n);
		mark(k, base);
		return;
	}
	if (k->min == k->max) {
		policy_problem(b->problems, v, "`%s` %lld is not known to this program", k->name, (long long)n);
		policy_hint(b->problems, "Write `%s: %lld`.", k->name, (long long)k->min);
	} else if (k->max == INT64_MAX) {
		policy_problem(b->problems, v, "`%s` must be at least %lld", k->name, (long long)k->min);
		policy_hint(b->problems, "Write a larger number, or remove `%s`.", k->name);
	} else {
		policy_problem(b->problems, v, "`%s` must be between %lld and %lld, not %lld", k->name,
			       (long long)k->min, (long long)k->max, (long long)n);
		policy_hint(b->problems, "Write a number in that range, such as `%s: %s`.", k->name, k->example);
	}
}

static void duration_hint(struct binder *b, const struct policy_key *k, const struct node *v)
{
	size_t digits = strspn(v->text, "0123456789");
	char better[TIME_TEXT];

	if (k->kind == KIND_MILLIS && k->word)
		policy_hint(b->problems, "Write `%s: %s`, or `%s: %s`.", k->name, k->example, k->name, k->word);
	else if (k->kind == KIND_MILLIS)
		policy_hint(b->problems, "Write `%s: %s`.", k->name, k->example);
	else if (strcmp(k->name, "for") == 0 && strcmp(v->text, "forever") == 0)
		policy_hint(b->problems, "Write `keep: forever`.");
	else if (digits && digits < 10 && strcmp(v->text + digits, "m") == 0)
		policy_hint(b->problems, "Write %.*smo for months, or %.*smin for minutes.", (int)digits, v->text,
			    (int)digits, v->text);
	else if (policy_guess_duration(v->text, better))
		policy_hint(b->problems, "Write %s; units are d, w, mo, y, h, min, s.", better);
	else
		policy_hint(b->problems, "Write a whole number and a unit: 30d, 12w, 6mo, 5y (d, w, mo, y, h, min, "
					 "s).");
}

/* Beyond that a cut-off or an expiry has no year of four digits, and nobody means it. */
enum { LONGEST_YEARS = 1000 };

static void too_long(struct binder *b, const struct policy_key *k, const struct node *v)
{
	policy_problem(b->problems, v, "`%s` is longer than %d years: %s", k->name, LONGEST_YEARS, Q(v));
	policy_hint(b->problems, "Write a shorter one. What is to stay without end: `keep: forever`; bundles without "
				 "`keep_for`.");
}

/* A number that no duration has, with a unit that it would have. */
static bool is_endless(struct binder *b, const char *text)
{
	size_t digits = strspn(text, "0123456789");
	struct duration one;

	return digits > 1 && duration_parse(mem_printf(b->scratch, "1%s", text + digits), &one);
}

/* Complains about what is no duration. */
static bool read_duration(struct binder *b, const struct policy_key *k, const struct node *v, struct duration *ret)
{
	if (duration_parse(v->text, ret)) {
		if (ret->months || ret->ms)
			return true;
		policy_problem(b->problems, v, "`%s` must be longer than zero, not %s", k->name, Q(v));
		policy_hint(b->problems, "Write a duration such as `%s: %s`.", k->name, k->example);
		return false;
	}
	if (only_digits(v->text))
		policy_problem(b->problems, v, "%s has no unit, `%s` is a duration", Q(v), k->name);
	else if (v->text[0] == '-')
		policy_problem(b->problems, v, "`%s` cannot be negative, it is %s", k->name, Q(v));
	else if (k->kind != KIND_MILLIS && is_endless(b, v->text))
		return too_long(b, k, v), false;
	else
		policy_problem(b->problems, v, "`%s` is a duration, not %s", k->name, Q(v));
	duration_hint(b, k, v);
	return false;
}

static void bind_duration(struct binder *b, const struct policy_key *k, const struct node *v, void *base)
{
	struct duration d;

	if (!read_duration(b, k, v, &d))
		return;
	if (d.months > LONGEST_YEARS * 12 || d.ms > LONGEST_YEARS * INT64_C(365) * 86400000) {
		too_long(b, k, v);
		return;
	}
	*(struct duration *)((char *)base + k->at) = d;
	mark(k, base);
}

static void bind_millis(struct binder *b, const struct policy_key *k, const struct node *v, void *base)
{
	struct duration d;

	if (!read_duration(b, k, v, &d))
		return;
	if (d.months || d.ms < k->min || d.ms > k->max) {
		policy_problem(b->problems, v, "`%s` must be between %lldms and %lldms, not %s", k->name,
			       (long long)k->min, (long long)k->max, Q(v));
		policy_hint(b->problems, "Write `%s: %s`.", k->name, k->example);
		return;
	}
	store_int(k, base, d.ms);
	mark(k, base);
}

static bool is_boundless(struct binder *b, const char *text)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t one;

	return digits > 1 && bytes_parse(mem_printf(b->scratch, "1%s", text + digits), &one);
}

static void bind_size(struct binder *b, const struct policy_key *k, const struct node *v, void *base)
{
	char better[TIME_TEXT], low[TIME_TEXT], high[TIME_TEXT];
	uint64_t bytes;

	if (!bytes_parse(v->text, &bytes)) {
		if (is_boundless(b, v->text)) {
			policy_problem(b->problems, v, "`%s` %s is too large", k->name, Q(v));
			policy_hint(b->problems, "Write a smaller size, such as `%s: %s`.", k->name, k->example);
			return;
		}
		policy_problem(b->problems, v,
			       only_digits(v->text) ? "%s has no unit, `%s` is a size"
						    : "%s is not a size, `%s` needs one",
			       Q(v), k->name);
		if (policy_guess_size(v->text, better))
			policy_hint(b->problems, "Write %s.", better);
		else
			policy_hint(b->problems, "Write a whole number and a unit: 500MiB, 2GB, 64KiB, 100B.");
		return;
	}
	if (bytes >= (uint64_t)k->min && bytes <= (uint64_t)k->max) {
		store_int(k, base, (int64_t)bytes);
		mark(k, base);
		return;
	}
	bytes_format((uint64_t)k->min, low);
	bytes_format((uint64_t)k->max, high);
	if (k->max == INT64_MAX)
		policy_problem(b->problems, v, "`%s` must be at least %s", k->name, low);
	else
		policy_problem(b->problems, v, "`%s` must be between %s and %s, not %s", k->name, low, high, Q(v));
	policy_hint(b->problems, "Write a size such as `%s: %s`.", k->name, k->example);
}

static void bind_time(struct binder *b, const struct policy_key *k, const struct node *v, void *base)
{
	bool date = v->len == strlen("2025-01-01"), until = strcmp(k->name, "until") == 0;
	int64_t ms;

	/* time_parse also takes "17ms", which is for tests and not for a file. */
	if (only_digits(v->text) || !strchr(v->text, '-') || !time_parse(v->text, &ms)) {
		if (time_no_such_day(v->text))
			policy_problem(b->problems, v, "`%s`: there is no such day as %s", k->name, Q(v));
		else
			policy_problem(b->problems, v, "`%s` is a day or instant, not %s", k->name, Q(v));
		policy_hint(b->problems, "Write %s or %sT18:00:00Z%s.", k->example, k->example,
			    until ? ", or `until: open`" : "");
		return;
	}
	/* A day as the end means that the day is covered; the field is exclusive. */
	store_int(k, base, ms + (date && until ? 24 * 3600 * 1000 : 0));
	mark(k, base);
}

static const struct key_word *find_word(struct binder *b, const struct policy_key *k, const struct node *v)
{
	const char *all[16], *near;
	struct buf list;
	size_t n = 0;

	for (const struct key_word *w = k->words; w->word && n < ARRAY_LEN(all); w++) {
		if (strcmp(w->word, v->text) == 0)
			return w;
		all[n++] = w->word;
	}
	buf_init(&list, b->scratch, 1024);
	for (size_t i = 0; i < n; i++)
		buf_printf(&list, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", all[i]);
	policy_problem(b->problems, v, "`%s` is %s, not %s", k->name, list.data, Q(v));
	near = policy_nearest(v->text, all, n);
	if (near)
		policy_hint(b->problems, "Did you mean `%s`?", near);
	else
		policy_hint(b->problems, "Write one of these words%s.", k->fallback ? ", or leave the key out" : "");
	return NULL;
}

static void bind_choice(struct binder *b, const struct policy_key *k, const struct node *v, void *base)
{
	const struct key_word *w = find_word(b, k, v);

	if (!w)
		return;
	store_int(k, base, w->value);
	mark(k, base);
}

static void bind_scalar(struct binder *b, const struct policy_key *k, const struct node *v, void *base)
{
	switch (k->kind) {
	case KIND_NAME:
	case KIND_TEXT:
	case KIND_NOTE:
	case KIND_PATH:
	case KIND_PATH_OR_URL:
		bind_text(b, k, v, base);
		return;
	case KIND_YESNO:
		bind_yesno(b, k, v, base);
		return;
	case KIND_NUMBER:
		bind_number(b, k, v, base);
		return;
	case KIND_DURATION:
		bind_duration(b, k, v, base);
		return;
	case KIND_MILLIS:
		bind_millis(b, k, v, base);
		return;
	case KIND_SIZE:
		bind_size(b, k, v, base);
		return;
	case KIND_TIME:
		bind_time(b, k, v, base);
		return;
	case KIND_CHOICE:
		bind_choice(b, k, v, base);
		return;
	case KIND_CHOICES:
	case KIND_SELECTORS:
	case KIND_USERS:
	case KIND_TAGS:
	case KIND_TEXTS:
	case KIND_SECTION:
	case KIND_SECTIONS:
		break;
	}
	assert(false);
}

static bool item_ok(struct binder *b, const struct policy_key *k, const struct node *v)
{
	if (v->bad)
		return false;
	if (v->kind != NODE_SCALAR) {
		policy_problem(b->problems, v, "an item of `%s` is a text, this is a %s", k->name,
			       v->kind == NODE_LIST ? "list" : "mapping");
		policy_hint(b->problems, "Write one text per item; put texts with brackets or `: ` in quotes.");
		return false;
	}
	if (policy_node_is_null(v) || v->len == 0) {
		policy_problem(b->problems, v, "an item of `%s` is empty", k->name);
		policy_hint(b->problems, k->kind == KIND_TAGS ? "Put the tag in quotes, such as `\"#keep\"`; a bare "
								"`#` begins a comment."
							      : "Write a name, or remove the item.");
		return false;
	}
	return k->kind == KIND_CHOICES || text_ok(b, k, v, POLICY_SELECTOR_MAX);
}

static void list_add(struct binder *b, struct policy_list *list, const struct node *v)
{
	list->item = mem_grow(b->ctx, list->item, char *, list->n + 1);
	list->line = mem_grow(b->ctx, list->line, uint32_t, list->n + 1);
	list->item[list->n] = mem_strdup(b->ctx, v->text);
	list->column = mem_grow(b->ctx, list->column, uint32_t, list->n + 1);
	list->line[list->n] = v->line;
	list->column[list->n++] = v->column;
}

static void bind_item(struct binder *b, const struct policy_key *k, const struct node *v, void *base)
{
	const struct key_word *w;

	if (!item_ok(b, k, v))
		return;
	if (k->kind == KIND_CHOICES) {
		w = find_word(b, k, v);
		if (w)
			*(unsigned *)((char *)base + k->at) |= (unsigned)w->value;
	} else if (policy_bind_name_ok(b, k, v)) {
		list_add(b, (struct policy_list *)((char *)base + k->at), v);
	}
}

/* A list of texts, or a single text. */
static void bind_list(struct binder *b, const struct policy_key *k, const struct node *v, void *base)
{
	if (v->kind == NODE_SCALAR) {
		bind_item(b, k, v, base);
		return;
	}
	if (v->kind == NODE_MAP) {
		policy_problem(b->problems, v, "`%s` is a list of texts, this is a mapping", k->name);
		policy_hint(b->problems, "Write `%s: [one, two]`.", k->name);
		return;
	}
	if (v->n == 0 && k->filled) {
		/* An empty list must not come to mean "any". */
		policy_problem(b->problems, v, "`%s` lists nothing", k->name);
		policy_hint(b->problems, "Name at least one, or remove `%s`.", k->name);
	}
	for (const struct node *item = v->first; item; item = item->next)
		bind_item(b, k, item, base);
}

void policy_bind_value(struct binder *b, const struct policy_key *k, const struct node *v, void *base)
{
	if (k->kind == KIND_CHOICES || k->kind == KIND_SELECTORS || k->kind == KIND_USERS || k->kind == KIND_TAGS ||
	    k->kind == KIND_TEXTS) {
		bind_list(b, k, v, base);
		return;
	}
	if (v->kind != NODE_SCALAR) {
		policy_problem(b->problems, v, "`%s` takes a single value, this is a %s", k->name,
			       v->kind == NODE_LIST ? "list" : "mapping");
		policy_hint(b->problems, "Write it as in `%s: %s`.", k->name, k->example);
		return;
	}
	bind_scalar(b, k, v, base);
}
