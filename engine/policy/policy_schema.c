/* The key table as JSON Schema 2020-12, for editors that complete and check while one types. */
#include "policy_internal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define DURATION_PATTERN "^[0-9]+(ms|s|min|h|d|w|mo|y)$"
#define SIZE_PATTERN "^[0-9]+(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$"
#define TIME_PATTERN "^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].+)?$"

static json_t *section_schema(const struct policy_section *s);

static json_t *text_of(const struct policy_key *k)
{
	json_t *j = json_pack("{s:s, s:i, s:I}", "type", "string", "minLength", 1, "maxLength", (json_int_t)k->max);

	if (k->kind == KIND_NAME)
		json_object_set_new(j, "pattern", json_string("^[A-Za-z0-9][A-Za-z0-9._-]*$"));
	else if (k->kind == KIND_PATH)
		json_object_set_new(j, "pattern", json_string("^/"));
	else if (k->kind == KIND_PATH_OR_URL)
		json_object_set_new(j, "pattern", json_string("^(/|postgres(ql)?://)"));
	return j;
}

static json_t *pattern_of(const char *pattern)
{
	return json_pack("{s:s, s:s}", "type", "string", "pattern", pattern);
}

static json_t *number_of(const struct policy_key *k)
{
	json_t *j = json_pack("{s:s, s:I}", "type", "integer", "minimum", (json_int_t)k->min);

	if (k->max != INT64_MAX)
		json_object_set_new(j, "maximum", json_integer(k->max));
	return j;
}

/* yes and no are booleans to an editor that follows YAML 1.1, texts to one that follows 1.2. */
static json_t *yesno(void)
{
	return json_pack("{s:[b, b, s, s]}", "enum", 1, 0, "yes", "no");
}

static json_t *choice_of(const struct policy_key *k)
{
	json_t *words = json_array();

	for (const struct key_word *w = k->words; w->word; w++) {
		json_array_append_new(words, json_string(w->word));
		if (strcmp(w->word, "true") == 0 || strcmp(w->word, "false") == 0)
			json_array_append_new(words, json_boolean(w->value));
	}
	return json_pack("{s:o}", "enum", words);
}

/* A list of texts, or one text. */
static json_t *list_of(const struct policy_key *k)
{
	json_t *item, *list;

	if (k->kind == KIND_CHOICES)
		item = choice_of(k);
	else if (k->kind == KIND_TAGS)
		item = pattern_of("^#[^ ]+$");
	else
		item = json_pack("{s:s, s:i, s:i}", "type", "string", "minLength", 1, "maxLength", POLICY_SELECTOR_MAX);
	list = json_pack("{s:s, s:O}", "type", "array", "items", item);
	if (k->filled)
		json_object_set_new(list, "minItems", json_integer(1));
	return json_pack("{s:[o, o]}", "anyOf", item, list);
}

static json_t *value_schema(const struct policy_key *k)
{
	switch (k->kind) {
	case KIND_NAME:
	case KIND_TEXT:
	case KIND_NOTE:
	case KIND_PATH:
	case KIND_PATH_OR_URL:
		return text_of(k);
	case KIND_YESNO:
		return yesno();
	case KIND_NUMBER:
		return number_of(k);
	case KIND_DURATION:
	case KIND_MILLIS:
		return pattern_of(DURATION_PATTERN);
	case KIND_SIZE:
		return pattern_of(SIZE_PATTERN);
	case KIND_TIME:
		return pattern_of(TIME_PATTERN);
	case KIND_CHOICE:
		return choice_of(k);
	case KIND_CHOICES:
	case KIND_SELECTORS:
	case KIND_USERS:
	case KIND_TAGS:
	case KIND_TEXTS:
		return list_of(k);
	case KIND_SECTION:
		return section_schema(k->section);
	case KIND_SECTIONS:
		return json_pack("{s:s, s:i, s:o}", "type", "array", "minItems", k->filled ? 1 : 0, "items",
				 section_schema(k->section));
	}
	return json_object();
}

static json_t *key_schema(const struct policy_key *k)
{
	json_t *j = value_schema(k);

	if (k->word)
		j = json_pack("{s:[o, o]}", "anyOf", json_pack("{s:s}", "const", k->word), j);
	if (k->about)
		json_object_set_new(j, "description", json_string(k->about));
	if (!k->fallback)
		return j;
	if (k->kind == KIND_NUMBER)
		json_object_set_new(j, "default", json_integer(strtoll(k->fallback, NULL, 10)));
	else
		json_object_set_new(j, "default", json_string(k->fallback));
	return j;
}

static json_t *section_schema(const struct policy_section *s)
{
	json_t *properties = json_object(), *required = json_array(), *j;

	for (size_t i = 0; i < s->n_keys; i++) {
		if (s->key[i].not_built)
			continue;
		json_object_set_new(properties, s->key[i].name, key_schema(&s->key[i]));
		if (s->key[i].required)
			json_array_append_new(required, json_string(s->key[i].name));
	}
	j = json_pack("{s:s, s:o, s:b}", "type", "object", "properties", properties, "additionalProperties", 0);
	if (json_array_size(required))
		json_object_set(j, "required", required);
	json_decref(required);
	return j;
}

int policy_schema_json(struct buf *out, struct err *err)
{
	json_t *root = section_schema(&policy_root);
	char *text;

	json_object_set_new(root, "$schema", json_string("https://json-schema.org/draft/2020-12/schema"));
	json_object_set_new(root, "title", json_string("mmretain policy"));
	text = json_dumps(root, JSON_INDENT(2));
	json_decref(root);
	mem_check(text);
	buf_puts(out, text);
	buf_byte(out, '\n');
	free(text);
	return out->overflow ? err_set(err, ERR_INTERNAL, "the schema does not fit into %zu bytes", out->max_bytes) : 0;
}
