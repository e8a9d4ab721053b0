/*
 * From libyaml events to a tree of nodes with line and column.
 *
 * Our own loader, because libyaml's drops duplicate keys' positions, expands aliases and has no limits.  What a
 * policy has no use for (anchors, aliases, tags, merge keys, further documents) is an error, not a feature.
 */
#include "policy_internal.h"

#include <string.h>
#include <yaml.h>

struct loader {
	void *ctx;
	struct problem_list *problems;
	yaml_parser_t parser;
	const char *text;
	size_t len, n_nodes;
	unsigned depth;
	bool fatal;              /* the rest cannot be read */
};

static bool next_event(struct loader *ld, yaml_event_t *ret)
{
	if (ld->fatal)
		return false;
	if (yaml_parser_parse(&ld->parser, ret))
		return true;
	ld->fatal = true;
	policy_syntax_problem(ld->problems, &ld->parser, ld->text, ld->len);
	return false;
}

static struct node *node_new(struct loader *ld, enum node_kind kind, const yaml_event_t *e)
{
	struct node *n = mem_new(ld->ctx, struct node);

	n->kind = kind;
	n->line = (uint32_t)e->start_mark.line + 1;
	n->column = (uint32_t)e->start_mark.column + 1;
	if (++ld->n_nodes > POLICY_NODES_MAX) {
		ld->fatal = true;
		policy_problem(ld->problems, n, "more than %d values", POLICY_NODES_MAX);
		policy_hint(ld->problems, "Shorten the file; use globs in place of long lists of names.");
	}
	return n;
}

static const char standard_tag[] = "tag:yaml.org,2002:"; /* written `!!` in a file */

static void refuse_decoration(struct loader *ld, struct node *n, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	if (anchor) {
		policy_problem(ld->problems, n, "anchor `&%.40s` is not allowed", (const char *)anchor);
		policy_hint(ld->problems, "Remove it and write the value out where it is used.");
	}
	if (tag) {
		const char *text = (const char *)tag;
		bool standard = strncmp(text, standard_tag, strlen(standard_tag)) == 0;

		policy_problem(ld->problems, n, "tag `%s%.40s` is not allowed", standard ? "!!" : "",
			       standard ? text + strlen(standard_tag) : text);
		policy_hint(ld->problems, "Remove it; the key decides what kind of value it takes.");
	}
}

static struct node *scalar_node(struct loader *ld, const yaml_event_t *e)
{
	struct node *n = node_new(ld, NODE_SCALAR, e);

	refuse_decoration(ld, n, e->data.scalar.anchor, e->data.scalar.tag);
	n->len = e->data.scalar.length;
	n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	n->text = mem_strndup(n, (const char *)e->data.scalar.value, n->len);
	if (memchr(e->data.scalar.value, '\0', n->len)) {
		policy_problem(ld->problems, n, "a text holds a NUL character (`\\0`)");
		policy_hint(ld->problems, "Remove it.");
		n->bad = true;
		n->len = strlen(n->text);
	}
	return n;
}

static struct node *alias_node(struct loader *ld, const yaml_event_t *e)
{
	struct node *n = node_new(ld, NODE_SCALAR, e);

	n->text = mem_strdup(n, "");
	n->bad = true;
	policy_problem(ld->problems, n, "alias `*%.40s` is not allowed", (const char *)e->data.alias.anchor);
	policy_hint(ld->problems, "Write the value out. A glob that begins with `*` needs quotes.");
	return n;
}

static struct node *load_node(struct loader *ld, const yaml_event_t *e);

static void append(struct node *parent, struct node *child)
{
	if (parent->last)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
	parent->n++;
}

static void load_list(struct loader *ld, struct node *list)
{
	yaml_event_t e;

	while (next_event(ld, &e)) {
		bool end = e.type == YAML_SEQUENCE_END_EVENT;

		if (!end)
			append(list, load_node(ld, &e));
		yaml_event_delete(&e);
		if (end)
			return;
	}
}

/* Complains about a key that cannot be used; true when the pair is to be kept. */
static bool check_key(struct loader *ld, const struct node *map, struct node *key)
{
	if (key->bad)
		return false;
	if (key->kind != NODE_SCALAR) {
		policy_problem(ld->problems, key, "a key must be a word, this is a %s",
			       key->kind == NODE_LIST ? "list" : "mapping");
		policy_hint(ld->problems, "Put a text with brackets or braces in quotes.");
		return false;
	}
	if (key->plain && strcmp(key->text, "<<") == 0) {
		policy_problem(ld->problems, key, "merge key `<<` is not allowed");
		policy_hint(ld->problems, "Write the keys out.");
		return false;
	}
	for (const struct node *old = map->first; old; old = old->next) {
		if (strcmp(old->key->text, key->text) != 0)
			continue;
		policy_problem(ld->problems, key, "duplicate key `%.40s`, it is already in line %u", key->text,
			       old->key->line);
		policy_hint(ld->problems, "Remove one of the two.");
		return false;
	}
	return true;
}

static void load_map(struct loader *ld, struct node *map)
{
	yaml_event_t e;
	struct node *key, *value;

	while (next_event(ld, &e)) {
		bool end = e.type == YAML_MAPPING_END_EVENT;

		key = end ? NULL : load_node(ld, &e);
		yaml_event_delete(&e);
		if (end || !next_event(ld, &e))
			return;
		value = load_node(ld, &e);
		yaml_event_delete(&e);
		if (check_key(ld, map, key)) {
			value->key = key;
			append(map, value);
		}
	}
}

static void load_children(struct loader *ld, struct node *n)
{
	if (++ld->depth > POLICY_DEPTH_MAX) {
		ld->fatal = true;
		policy_problem(ld->problems, n, "nested more than %d levels deep", POLICY_DEPTH_MAX);
		policy_hint(ld->problems, "A policy needs four; check the brackets and the indentation.");
		return;
	}
	if (n->kind == NODE_LIST)
		load_list(ld, n);
	else
		load_map(ld, n);
	ld->depth--;
}

static struct node *load_node(struct loader *ld, const yaml_event_t *e)
{
	struct node *n;

	if (e->type == YAML_ALIAS_EVENT)
		return alias_node(ld, e);
	if (e->type == YAML_SCALAR_EVENT)
		return scalar_node(ld, e);
	if (e->type == YAML_SEQUENCE_START_EVENT) {
		n = node_new(ld, NODE_LIST, e);
		refuse_decoration(ld, n, e->data.sequence_start.anchor, e->data.sequence_start.tag);
	} else {
		n = node_new(ld, NODE_MAP, e);
		refuse_decoration(ld, n, e->data.mapping_start.anchor, e->data.mapping_start.tag);
	}
	load_children(ld, n);
	return n;
}

static void refuse_second_document(struct loader *ld)
{
	yaml_event_t e;

	if (!next_event(ld, &e))
		return;
	if (e.type == YAML_DOCUMENT_START_EVENT) {
		policy_problem_at(ld->problems, (uint32_t)e.start_mark.line + 1, (uint32_t)e.start_mark.column + 1,
				  "a second document begins here");
		policy_hint(ld->problems, "Keep one policy per file; remove the `---` and what follows.");
	}
	yaml_event_delete(&e);
}

static struct node *load_document(struct loader *ld)
{
	struct node *root = NULL;
	yaml_event_t e;

	while (!root && next_event(ld, &e)) {
		bool end = e.type == YAML_STREAM_END_EVENT;

		if (end) {
			policy_problem_at(ld->problems, 1, 1, "the policy is empty");
			policy_hint(ld->problems, "Begin with `version: 1`, or copy one of the ready policies.");
		} else if (e.type != YAML_STREAM_START_EVENT && e.type != YAML_DOCUMENT_START_EVENT) {
			root = load_node(ld, &e);
		}
		yaml_event_delete(&e);
		if (end)
			return NULL;
	}
	/* One event closes the document. */
	if (root && next_event(ld, &e)) {
		yaml_event_delete(&e);
		refuse_second_document(ld);
	}
	return root;
}

struct node *policy_tree(void *ctx, struct problem_list *l, const char *text, size_t len)
{
	struct loader ld = {.ctx = ctx, .problems = l, .text = text, .len = len};
	struct node *root;

	mem_check(yaml_parser_initialize(&ld.parser) ? &ld : NULL);
	yaml_parser_set_encoding(&ld.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&ld.parser, (const unsigned char *)text, len);
	root = load_document(&ld);
	yaml_parser_delete(&ld.parser);
	if (ld.fatal || !root || root->bad)
		return NULL;
	if (root->kind != NODE_MAP) {
		policy_problem(l, root, "a policy is a mapping of keys, this is a %s",
			       root->kind == NODE_LIST ? "list" : "single text");
		policy_hint(l, "Begin with `version: 1`, or copy one of the ready policies.");
		return NULL;
	}
	return root;
}

const struct node *policy_node_get(const struct node *map, const char *key)
{
	if (!map || map->kind != NODE_MAP)
		return NULL;
	for (const struct node *v = map->first; v; v = v->next)
		if (strcmp(v->key->text, key) == 0)
			return v;
	return NULL;
}

const struct node *policy_node_good(const struct node *map, const char *key)
{
	const struct node *v = policy_node_get(map, key);

	return v && !v->bad ? v : NULL;
}
