/* bundle_erased.c - the line that is left of an erased row: its commitment, and of a post what the lines around it
 * need. */
#include "bundle_internal.h"

#include <string.h>

static const char opening[] = "{\"k\":\"erased\",";

static bool key_is(const struct json_scan *s, const char *key)
{
	return s->key_len == strlen(key) && memcmp(s->key, key, s->key_len) == 0;
}

static int64_t number_of(const struct json_scan *s)
{
	return codec_int(&(struct bundle_field){.data = s->val, .len = s->val_len});
}

static void take_text(const struct json_scan *s, const char **ret, size_t *ret_len)
{
	*ret = s->val;
	*ret_len = s->val_len;
}

static void take(struct bundle_erased *e, const struct json_scan *s, bool *commit)
{
	if (s->type == JSON_NUMBER && key_is(s, "at"))
		e->at_ms = number_of(s);
	if (s->type == JSON_NUMBER && key_is(s, "createat"))
		e->create_ms = number_of(s);
	if (s->type != JSON_STR)
		return;
	if (key_is(s, "kind"))
		take_text(s, &e->kind, &e->kind_len);
	else if (key_is(s, "case"))
		take_text(s, &e->case_id, &e->case_len);
	else if (key_is(s, "id"))
		take_text(s, &e->id, &e->id_len);
	else if (key_is(s, "rootid"))
		take_text(s, &e->root, &e->root_len);
	else if (key_is(s, "originalid"))
		take_text(s, &e->original, &e->original_len);
	else if (key_is(s, "channelid"))
		take_text(s, &e->channel, &e->channel_len);
	else if (key_is(s, "commit") && s->val_len == DIGEST_HEX)
		*commit = hex_decode(s->val, DIGEST_BYTES, e->commit.b);
}

bool bundle_erased_line(const char *line, size_t len, struct bundle_erased *ret)
{
	struct json_scan s;
	bool commit = false;

	if (len < sizeof(opening) || memcmp(line, opening, sizeof(opening) - 1) != 0)
		return false;
	*ret = (struct bundle_erased){.kind = NULL};
	json_scan_init(&s, line, len);
	while (json_scan_next(&s))
		take(ret, &s, &commit);
	return !s.bad && commit && ret->kind && ret->case_id && ret->at_ms > 0;
}

/* The value as it stands in the line. */
static void keep(struct buf *b, const struct json_scan *s)
{
	bool text = s->type == JSON_STR;

	buf_printf(b, ",\"%.*s\":%s", (int)s->key_len, s->key, text ? "\"" : "");
	buf_put(b, s->val, s->val_len);
	if (text)
		buf_byte(b, '"');
}

/* Of a post: other rows name its id, and where a thread begins follows from rootid and originalid; a root's time orders
 * the threads. */
static void keep_post(struct buf *b, const char *line, size_t len)
{
	struct json_scan s;
	bool root = true;

	json_scan_init(&s, line, len);
	while (json_scan_next(&s)) {
		bool above = key_is(&s, "rootid") || key_is(&s, "originalid");
		if (s.type != JSON_STR || s.val_len == 0 || (!above && !key_is(&s, "id") && !key_is(&s, "channelid")))
			continue;
		root &= !above;
		keep(b, &s);
	}
	json_scan_init(&s, line, len);
	while (root && json_scan_next(&s))
		if (s.type == JSON_NUMBER && key_is(&s, "createat"))
			keep(b, &s);
}

void erased_line(struct buf *b, const struct bundle_erase *q, const struct bundle_kind *kind, const char *line,
		 size_t len, const struct digest *commit)
{
	char hex[DIGEST_HEX + 1];

	digest_hex(commit, hex);
	buf_puts(b, opening);
	buf_printf(b, "\"kind\":\"%s\",\"commit\":\"%s\",\"case\":", kind->kind, hex);
	json_put_string(b, q->case_id, strlen(q->case_id));
	buf_printf(b, ",\"at\":%lld", (long long)q->at_ms);
	if (strcmp(kind->kind, "post") == 0)
		keep_post(b, line, len);
	buf_byte(b, '}');
}

char *history_name(void *ctx, uint64_t generation)
{
	return mem_printf(ctx, HISTORY_FOLDER "mmretain-e%llu.json", (unsigned long long)generation);
}
