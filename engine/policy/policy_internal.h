/*
 * policy_internal.h - what the files of this room share.
 *
 * The way of a file: policy_load (bytes, mode) -> policy_tree (libyaml events to nodes with line and column)
 * -> policy_bind (nodes to structs, driven by the key table of policy_keys.c) -> policy_check (what keys mean
 * together).  Everybody adds problems to one list; only a file without errors becomes a struct policy.
 */
#ifndef POLICY_INTERNAL_H
#define POLICY_INTERNAL_H

#include <mmretain/policy.h>

#define POLICY_FILE_BYTES_MAX (1U << 20)
#define POLICY_DEPTH_MAX 16
#define POLICY_NODES_MAX 65536
#define POLICY_PROBLEMS_MAX 1000
#define POLICY_NAME_MAX 64
#define POLICY_SELECTOR_MAX 256
#define POLICY_PATH_MAX 4000
#define POLICY_ADDRESS_MAX 500
#define POLICY_NOTE_MAX 2000

/* ---- nodes ---- */

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
	enum node_kind kind;
	uint32_t line, column;       /* from 1; columns count characters */
	char *text;                  /* of a scalar: NUL-terminated, without NUL inside */
	size_t len;
	bool plain;                  /* written without quotes */
	bool bad;                    /* it, or something in it, has been complained about */
	struct node *key;            /* of a value in a mapping */
	struct node *first, *last, *next;
	size_t n;                    /* children of a list or mapping */
};

/* ---- problems ---- */

struct problem_list {
	struct policy_problems *all;
	bool full;                   /* POLICY_PROBLEMS_MAX reached, later ones are dropped */
};

void policy_problem_at(struct problem_list *l, uint32_t line, uint32_t column, const char *fmt, ...) MMR_PRINTF(4, 5);
void policy_problem(struct problem_list *l, const struct node *at, const char *fmt, ...) MMR_PRINTF(3, 4);
void policy_warning(struct problem_list *l, const struct node *at, const char *fmt, ...) MMR_PRINTF(3, 4);
/* Adds the action to the problem added last. */
void policy_hint(struct problem_list *l, const char *fmt, ...) MMR_PRINTF(2, 3);
/* File order; complaints at one place keep their order. */
void policy_problems_sort(struct problem_list *l);
/* User text for a message: in double quotes, printable, at most about 40 characters. */
char *policy_quote(void *ctx, const char *text, size_t len);

/* ---- text to nodes ---- */

/* False when the bytes are not text a policy may consist of. */
bool policy_text_check(struct problem_list *l, const char *text, size_t len);
/* The root mapping, or NULL when there is none (then the list says why). */
struct node *policy_tree(void *ctx, struct problem_list *l, const char *text, size_t len);
const struct node *policy_node_get(const struct node *map, const char *key);
/* The same, when nothing in it was complained about. */
const struct node *policy_node_good(const struct node *map, const char *key);

struct yaml_parser_s;
/* Adds libyaml's complaint in words an operator can act on. */
void policy_syntax_problem(struct problem_list *l, const struct yaml_parser_s *parser, const char *text, size_t len);

/* ---- the key table ---- */

enum key_kind {
	KIND_NAME, KIND_TEXT, KIND_NOTE, KIND_PATH, KIND_PATH_OR_URL, KIND_YESNO, KIND_NUMBER, KIND_DURATION,
	KIND_MILLIS, KIND_SIZE,
	KIND_TIME, KIND_CHOICE, KIND_CHOICES /* list, a mask */, KIND_SELECTORS, KIND_USERS, KIND_TAGS,
	KIND_TEXTS /* lists of text */,
	KIND_SECTION, KIND_SECTIONS /* list of mappings */,
};

struct key_word { const char *word; int value; };

struct policy_section;

struct policy_key {
	const char *name;
	enum key_kind kind;
	uint16_t at, width;          /* where the value goes in the section's struct */
	uint16_t has;                /* offset of a bool that is set; 0 = none */
	uint16_t count;              /* KIND_SECTIONS: offset of the element count */
	/* where the value stands in the file, of KIND_SECTIONS in each element; 0 = nobody asks */
	uint16_t line, column;
	bool required;
	bool filled;                 /* a list here may not be empty */
	bool not_built;              /* known, refused: drop this flag to enable a key */
	int64_t min, max;            /* of numbers and sizes; max of texts is a length */
	const char *word;            /* a word that may stand here in place of the value ... */
	uint16_t word_at;            /* ... and the bool that it sets; 0 = none */
	const struct key_word *words;
	const struct policy_section *section;
	const char *also;            /* space-separated words people write when they mean this key */
	const char *fallback;        /* the default, as written in a file */
	const char *missing;         /* hint when a required key is missing, or a value is not understood */
	const char *example;
	const char *about;
};

struct policy_section {
	const char *name;            /* "a rule", "`keep`": for messages */
	const char *title;           /* for the reference */
	const char *about;
	size_t size;                 /* of the struct of a list's element */
	void (*init)(void *element); /* defaults that are not zero */
	const struct policy_key *key;
	size_t n_keys;
};

extern const struct policy_section policy_root;

/* ---- binding ---- */

struct binder {
	void *ctx;                   /* owner of all bound values */
	void *scratch;               /* dies with the parse */
	struct problem_list *problems;
};

void policy_bind_section(struct binder *b, const struct policy_section *s, const struct node *map, void *base);
/* One value of any kind but sections. */
void policy_bind_value(struct binder *b, const struct policy_key *k, const struct node *v, void *base);
/* A text in a list of names, globs or tags: false when it is none (then the list says why). */
bool policy_bind_name_ok(struct binder *b, const struct policy_key *k, const struct node *v);
bool policy_node_is_null(const struct node *n);

/* ---- nearest words ---- */

/* The key of the section that was meant by a misspelt or foreign word, or NULL; not one that `map` has already (NULL:
 * any). */
const struct policy_key *policy_nearest_key(const struct policy_section *s, const char *word, const struct node *map);
/* The section that has a key of this name, or NULL. */
const struct policy_section *policy_section_with(const char *word);
/* "30 days" -> "30d", "90" -> "90d"; false when there is no guess that parses. */
bool policy_guess_duration(const char *text, char ret[TIME_TEXT]);
bool policy_guess_size(const char *text, char ret[TIME_TEXT]);

/* ---- meaning ---- */

/* "*" and the like: what every name matches. */
bool policy_glob_any(const char *pattern);
void policy_check(struct problem_list *l, struct policy *p, const struct node *root);
/* Of PostgreSQL. */
bool policy_is_url(const char *text);
void policy_check_url(struct problem_list *l, const char *url, const struct node *n);
/* deleted: the policy has `deleted_posts`, so a rule that keeps everything still says what becomes of them. */
void policy_check_rule(struct problem_list *l, const struct policy_rule *r, const struct node *n, bool deleted);
void policy_check_hold(struct problem_list *l, const struct policy_hold *h, const struct node *n);

#endif
