/*
 * cli_json.c - results as JSON documents, by jansson.
 */
#include <string.h>
#include <unistd.h>

#include "cli.h"

json_t *cli_json_check(json_t *j)
{
	mem_check(j);
	return j;
}

void cli_json_put(json_t *obj, const char *key, json_t *value)
{
	if (json_object_set_new(obj, key, cli_json_check(value)) < 0)
		mem_check(NULL);
}

static void put_base64(json_t *obj, const char *key, const char *text, size_t len)
{
	auto_mem char *twin = mem_printf(NULL, "%s_b64", key);
	struct buf b;

	buf_init(&b, twin, SIZE_MAX / 2);
	buf_base64(&b, text, len);
	cli_json_put(obj, twin, json_stringn(b.data ? b.data : "", b.len));
}

void cli_json_text(json_t *obj, const char *key, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	if (!text) {
		cli_json_put(obj, key, json_null());
	} else if (utf8_valid(text, len)) {
		cli_json_put(obj, key, json_stringn(text, len));
	} else {
		auto_mem char *safe = cli_safe(NULL, text);

		cli_json_put(obj, key, json_string(safe));
		put_base64(obj, key, text, len);
	}
}

void cli_json_int(json_t *obj, const char *key, uint64_t value)
{
	cli_json_put(obj, key, json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value));
}

void cli_json_bool(json_t *obj, const char *key, bool value)
{
	cli_json_put(obj, key, json_boolean(value));
}

void cli_json_time(json_t *obj, const char *key, int64_t ms)
{
	char text[TIME_TEXT];

	if (ms == INT64_MIN || ms == INT64_MAX) {
		cli_json_put(obj, key, json_null());
		return;
	}
	time_format(ms, text);
	cli_json_put(obj, key, json_string(text));
}

void cli_json_digest(json_t *obj, const char *key, const struct digest *d)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(d, hex);
	cli_json_put(obj, key, json_string(hex));
}

enum { PIECE_BYTES = 64 << 10 };

static bool flush_piece(struct buf *b)
{
	bool ok = b->len == 0 || fwrite(b->data, 1, b->len, stdout) == b->len;

	buf_clear(b);
	return ok;
}

/* jansson gives every comma by itself: collected, a long document is printed in half the time. */
static int add_piece(const char *text, size_t len, void *payload)
{
	struct buf *b = payload;

	if (b->len + len > PIECE_BYTES && !flush_piece(b))
		return -1;
	if (len > PIECE_BYTES)
		return fwrite(text, 1, len, stdout) == len ? 0 : -1;
	buf_put(b, text, len);
	return 0;
}

size_t cli_json_flags(void)
{
	/* A terminal would obey what JSON does not escape; a pipe gets the text as it is. */
	return JSON_INDENT(2) | (isatty(STDOUT_FILENO) ? JSON_ENSURE_ASCII : 0);
}

int cli_json_print(json_t *root, struct err *err)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, "cli_json_print");
	struct buf b;
	int r;

	buf_init(&b, ctx, PIECE_BYTES);
	r = json_dump_callback(root, add_piece, &b, cli_json_flags());
	if (!flush_piece(&b))
		r = -1;
	json_decref(root);
	fputc('\n', stdout);
	return r < 0 && !ferror(stdout) ? err_set(err, ERR_INTERNAL, "cannot print the JSON document") : 0;
}
