/*
 * cli_json_list.c - a JSON document with lists that are long, printed item by item.
 *
 * jansson takes seven allocations for a channel of a plan; some thousand channels were a fifth of what a short plan
 * costs.  The text is what jansson makes of the same document.
 */
#include <assert.h>
#include <string.h>

#include "cli.h"

enum { PIECE_BYTES = 64 << 10, NUMBER_BYTES = 24, MAX_DEPTH = 8 };

struct cli_list {
	struct buf out;
	size_t flags;          /* of jansson */
	unsigned depth;
	bool empty[MAX_DEPTH]; /* nothing stands in this object or array yet */
	bool failed;
};

static void flush(struct cli_list *l)
{
	if (l->out.len)
		l->failed |= fwrite(l->out.data, 1, l->out.len, stdout) != l->out.len;
	buf_clear(&l->out);
}

static void put(struct cli_list *l, const char *text, size_t len)
{
	if (l->out.len + len > PIECE_BYTES)
		flush(l);
	if (len > PIECE_BYTES)
		l->failed |= fwrite(text, 1, len, stdout) != len;
	else
		buf_put(&l->out, text, len);
}

static void new_line(struct cli_list *l, unsigned depth)
{
	static const char text[] = "\n                ";

	put(l, text, 1 + 2 * (size_t)depth);
}

/* Only the line ends of jansson's own layout are raw ones: the value stands one step further in. */
static int put_value(const char *text, size_t len, void *payload)
{
	struct cli_list *l = payload;
	const char *end;

	while ((end = memchr(text, '\n', len)) != NULL) {
		put(l, text, (size_t)(end - text));
		new_line(l, l->depth);
		len -= (size_t)(end - text) + 1;
		text = end + 1;
	}
	put(l, text, len);
	return 0;
}

static void put_json(struct cli_list *l, const json_t *value)
{
	l->failed |= json_dump_callback(value, put_value, l, l->flags | JSON_ENCODE_ANY) < 0;
}

static bool is_plain(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\')
			return false;
	return true;
}

static void member(struct cli_list *l, const char *key)
{
	if (!l->empty[l->depth])
		put(l, ",", 1);
	l->empty[l->depth] = false;
	new_line(l, l->depth);
	if (key) {
		put(l, "\"", 1);
		put(l, key, strlen(key));
		put(l, "\": ", 3);
	}
}

static void open_with(struct cli_list *l, char bracket)
{
	put(l, &bracket, 1);
	assert(l->depth + 1 < MAX_DEPTH);
	l->empty[++l->depth] = true;
}

static void close_with(struct cli_list *l, char bracket)
{
	bool empty = l->empty[l->depth--];

	if (!empty)
		new_line(l, l->depth);
	put(l, &bracket, 1);
}

void cli_list_open(struct cli_list *l, const char *key)
{
	member(l, key);
	open_with(l, '{');
}

void cli_list_close(struct cli_list *l)
{
	close_with(l, '}');
}

void cli_list_int(struct cli_list *l, const char *key, uint64_t value)
{
	member(l, key);
	buf_i64(&l->out, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

void cli_list_bool(struct cli_list *l, const char *key, bool value)
{
	member(l, key);
	put(l, value ? "true" : "false", value ? 4 : 5);
}

void cli_list_json(struct cli_list *l, const char *key, const json_t *value)
{
	member(l, key);
	put_json(l, value);
}

/* Any but plain text is jansson's to write. */
static void put_odd_text(struct cli_list *l, const char *key, const char *text)
{
	json_t *obj = cli_json_check(json_object()), *value;
	const char *name;

	cli_json_text(obj, key, text);
	json_object_foreach(obj, name, value) {
		member(l, name);
		put_json(l, value);
	}
	json_decref(obj);
}

void cli_list_text(struct cli_list *l, const char *key, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	if (!text || !is_plain(text, len)) {
		put_odd_text(l, key, text);
		return;
	}
	member(l, key);
	put(l, "\"", 1);
	put(l, text, len);
	put(l, "\"", 1);
}

/* 1: it is none of them. */
static int put_list(struct cli_list *l, const char *name, const struct cli_list_of *list, size_t n, struct err *err)
{
	int r;

	while (n && strcmp(list->key, name) != 0) {
		list++;
		n--;
	}
	if (!n)
		return 1;
	open_with(l, '[');
	if ((r = list->fn(l, list->payload, err)) == 0)
		close_with(l, ']');
	return r;
}

int cli_json_print_list(json_t *root, const struct cli_list_of *list, size_t n, struct err *err)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, "cli_json_print_list");
	struct cli_list l = {.flags = cli_json_flags()};
	const char *name;
	json_t *value;
	int r = 0;

	buf_init(&l.out, ctx, PIECE_BYTES + NUMBER_BYTES);
	open_with(&l, '{');
	json_object_foreach(root, name, value) {
		member(&l, name);
		if ((r = put_list(&l, name, list, n, err)) < 0)
			break;
		if (r == 1)
			put_json(&l, value);
	}
	close_with(&l, '}');
	put(&l, "\n", 1);
	flush(&l);
	json_decref(root);
	if (r < 0)
		return r;
	return l.failed && !ferror(stdout) ? err_set(err, ERR_INTERNAL, "cannot print the JSON document") : 0;
}
