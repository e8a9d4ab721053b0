/* Nodes to structs, by the key table. */
#include "policy_internal.h"

#include <string.h>

static const struct policy_key *find_key(const struct policy_section *s, const char *name)
{
	for (size_t i = 0; i < s->n_keys; i++)
		if (strcmp(s->key[i].name, name) == 0)
			return &s->key[i];
	return NULL;
}

static void list_keys(struct buf *b, const struct policy_section *s)
{
	const char *sep = "";

	for (size_t i = 0; i < s->n_keys; i++) {
		if (s->key[i].not_built)
			continue;
		buf_printf(b, "%s%s", sep, s->key[i].name);
		sep = ", ";
	}
}

static void unknown_key(struct binder *b, const struct policy_section *s, const struct node *map,
			const struct node *key)
{
	const struct policy_key *near = policy_nearest_key(s, key->text, map);
	const struct policy_section *other;
	struct buf keys;

	near = near ? near : policy_nearest_key(s, key->text, NULL);
	policy_problem(b->problems, key, "unknown key %s in %s", policy_quote(b->scratch, key->text, key->len),
		       s->name);
	if (near) {
		policy_hint(b->problems, "Did you mean `%s`?", near->name);
		return;
	}
	other = policy_section_with(key->text);
	if (other) {
		policy_hint(b->problems, "`%s` belongs in %s; check the indentation.", key->text, other->name);
		return;
	}
	buf_init(&keys, b->scratch, 1024);
	list_keys(&keys, s);
	policy_hint(b->problems, "Remove it, or use one of: %s.", keys.data);
}

static void not_built(struct binder *b, const struct node *key)
{
	policy_problem(b->problems, key, "`%s` is not available in this version; nothing of it would be done",
		       key->text);
	policy_hint(b->problems, "Remove `%s` and all that belongs to it.", key->text);
}

/* Where v stands in the file, for keys that want it. */
static void bind_place(const struct policy_key *k, const struct node *v, void *base)
{
	if (!k->line)
		return;
	*(uint32_t *)(void *)((char *)base + k->line) = v->line;
	*(uint32_t *)(void *)((char *)base + k->column) = v->column;
}

static void bind_elements(struct binder *b, const struct policy_key *k, const struct node *list, void *base)
{
	const struct policy_section *s = k->section;
	char *element = mem_array(b->ctx, char, (list->n ? list->n : 1) * s->size);

	*(void **)((char *)base + k->at) = element;
	*(size_t *)((char *)base + k->count) = list->n;
	for (const struct node *v = list->first; v; v = v->next, element += s->size) {
		if (s->init)
			s->init(element);
		bind_place(k, v, element);
		if (v->kind == NODE_MAP) {
			policy_bind_section(b, s, v, element);
		} else if (!v->bad) {
			policy_problem(b->problems, v, "%s is a mapping of keys, this is a %s", s->name,
				       v->kind == NODE_LIST ? "list" : "text");
			policy_hint(b->problems, "Begin it with `- name: ...` and indent its other keys below `name`.");
		}
	}
}

static void bind_sections(struct binder *b, const struct policy_key *k, const struct node *v, void *base)
{
	if (v->kind != NODE_LIST) {
		policy_problem(b->problems, v, "`%s` is a list, this is a %s", k->name,
			       v->kind == NODE_MAP ? "mapping" : "text");
		policy_hint(b->problems, "Begin each with `- name: ...` on the lines below `%s:`.", k->name);
		return;
	}
	if (v->n == 0 && k->filled) {
		policy_problem(b->problems, v, "`%s` is empty", k->name);
		policy_hint(b->problems, "%s", k->missing);
		return;
	}
	bind_elements(b, k, v, base);
}

/* True when the value is the word that may stand in place of a mapping or time. */
static bool bind_word(const struct policy_key *k, const struct node *v, void *base)
{
	if (!k->word || v->kind != NODE_SCALAR || strcmp(v->text, k->word) != 0)
		return false;
	if (k->word_at)
		*(bool *)((char *)base + k->word_at) = true;
	return true;
}

/* `keep: 90d` is what people write first. */
static void not_a_section(struct binder *b, const struct policy_key *k, const struct node *v)
{
	char better[TIME_TEXT];
	const struct policy_key *first = &k->section->key[0];

	if (v->kind == NODE_LIST)
		policy_problem(b->problems, v, "`%s` is a mapping of keys, this is a list", k->name);
	else if (k->word)
		policy_problem(b->problems, v, "`%s` is `%s` or a mapping, not %s", k->name, k->word,
			       policy_quote(b->scratch, v->text, v->len));
	else
		policy_problem(b->problems, v, "`%s` is a mapping of keys, not %s", k->name,
			       policy_quote(b->scratch, v->text, v->len));
	if (v->kind == NODE_SCALAR && first->kind == KIND_DURATION && policy_guess_duration(v->text, better)) {
		policy_hint(b->problems, "Write `%s: {%s: %s}`.", k->name, first->name, better);
	} else {
		policy_hint(b->problems, "%s", k->missing); /* every section has one */
	}
}

static void bind_section_key(struct binder *b, const struct policy_key *k, const struct node *v, void *base)
{
	if (v->kind != NODE_MAP) {
		not_a_section(b, k, v);
		return;
	}
	if (k->has)
		*(bool *)((char *)base + k->has) = true;
	/* Without a width the section's fields lie in the parent's struct. */
	policy_bind_section(b, k->section, v, (char *)base + (k->width ? k->at : 0));
}

static void no_value(struct binder *b, const struct policy_key *k, const struct node *v)
{
	policy_problem(b->problems, v->key, "`%s` has no value", k->name);
	if (k->missing)
		policy_hint(b->problems, "%s", k->missing);
	else if (k->kind == KIND_TAGS)
		policy_hint(b->problems, "Put the tag in quotes, such as `\"#keep\"`; a bare `#` begins a comment.");
	else
		policy_hint(b->problems, "Write a value, or remove the line; check the indentation of what follows.");
}

/* A misspelt key that must mean a section is read as that one, so that mistakes below it come out in the same pass.
 * NULL: it may mean anything. */
static const struct policy_key *read_as(struct binder *b, const struct policy_section *s, const struct node *map,
					struct node *v)
{
	const struct policy_key *k = policy_nearest_key(s, v->key->text, NULL);

	if (!k || (k->kind != KIND_SECTIONS && k->kind != KIND_SECTION) || policy_node_get(map, k->name))
		return NULL;
	v->key->text = mem_strdup(b->scratch, k->name); /* what looks for the section later finds it */
	v->key->len = strlen(k->name);
	return k;
}

static void bind_key(struct binder *b, const struct policy_section *s, const struct node *map, struct node *v,
		     void *base)
{
	const struct policy_key *k = find_key(s, v->key->text);

	if (!k) {
		unknown_key(b, s, map, v->key);
		k = read_as(b, s, map, v);
	}
	if (!k)
		return;
	if (k->not_built)
		not_built(b, v->key);
	else if (v->bad || bind_word(k, v, base))
		return;
	else if (policy_node_is_null(v))
		no_value(b, k, v);
	else if (k->kind == KIND_SECTIONS)
		bind_sections(b, k, v, base);
	else if (k->kind == KIND_SECTION)
		bind_section_key(b, k, v, base);
	else {
		bind_place(k, v, base);
		policy_bind_value(b, k, v, base);
	}
}

/* A key that is there but misspelt is not also missing. */
static bool misspelt(const struct policy_section *s, const struct node *map, const struct policy_key *k)
{
	for (const struct node *v = map->first; v; v = v->next)
		if (!find_key(s, v->key->text) && policy_nearest_key(s, v->key->text, NULL) == k)
			return true;
	return false;
}

/* What the reader of the tree complained about, an alias in the place of a value, is part of what stands around it. */
static bool has_bad(const struct node *v)
{
	const struct node *n = v->kind == NODE_SCALAR ? NULL : v->first;

	while (n && !n->bad)
		n = n->next;
	return n != NULL;
}

void policy_bind_section(struct binder *b, const struct policy_section *s, const struct node *map, void *base)
{
	for (struct node *v = map->first; v; v = v->next) {
		size_t before = b->problems->all->n_errors;

		bind_key(b, s, map, v, base);
		v->bad |= b->problems->all->n_errors > before || has_bad(v);
	}
	for (size_t i = 0; i < s->n_keys; i++) {
		const struct policy_key *k = &s->key[i];

		if (!k->required || policy_node_get(map, k->name) || misspelt(s, map, k))
			continue;
		policy_problem(b->problems, map, "%s needs `%s`", s->name, k->name);
		policy_hint(b->problems, "%s", k->missing);
	}
}
