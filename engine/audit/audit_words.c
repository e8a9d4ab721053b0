/*
 * audit_words.c - what an auditor types, as a tree: for the index, for a row, and for a look at the raw line.
 *
 *	or   = and { "OR" and }
 *	and  = not { ["AND"] not }
 *	not  = ["NOT"] ( "(" or ")" | term )
 *	term = word | word* | "a phrase"
 */
#include "audit_internal.h"

#include <string.h>

#define QUESTION_MAX 4096
#define DEPTH_MAX 64

enum node_kind { NODE_TERM, NODE_AND, NODE_OR, NODE_NOT };
struct token { char *s; size_t len; };
struct node {
	enum node_kind kind;
	struct node *a, *b;
	struct token *token; size_t n_tokens;  /* of a term */
	bool prefix;
	/* a term without letters or digits, e.g. an emoji: looked for as it is */
	char *literal; size_t literal_len;
};
struct found { size_t at, len, from, to; }; /* a token of the text: folded bytes in `folded`, place in the text */
struct words {
	struct catalog_words *split;
	struct node *root;
	struct needle *needle;                 /* a token that every match holds, or NULL */
	struct found *found; size_t n_found, cap_found;
	struct buf folded;
};

/* ---- parsing ---- */

struct parse { const char *p, *end; void *ctx; struct words *w; int depth; struct err *err; };

static int nonsense(struct parse *s, const char *what)
{
	err_set(s->err, ERR_USAGE, "the words to find make no sense: %s", what);
	return err_hint(s->err, "Write word, pre*, \"a phrase\", AND, OR, NOT and ( ).");
}

static void blanks(struct parse *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n'))
		s->p++;
}

static bool keyword(struct parse *s, const char *word, bool take)
{
	size_t n = strlen(word);

	blanks(s);
	if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
		return false;
	if (s->p + n < s->end && !strchr(" \t\n()\"", s->p[n]))
		return false;
	if (take)
		s->p += n;
	return true;
}

static struct node *node_new(struct parse *s, enum node_kind kind, struct node *a, struct node *b)
{
	struct node *n = mem_new(s->ctx, struct node);

	n->kind = kind;
	n->a = a;
	n->b = b;
	return n;
}

static int term_token(void *payload, const char *token, size_t len, size_t from, size_t to)
{
	struct node *n = payload;

	(void)from;
	(void)to;
	n->token = mem_grow(n, n->token, struct token, n->n_tokens + 1);
	n->token[n->n_tokens++] = (struct token){mem_strndup(n, token, len), len};
	return 0;
}

static int term_of(struct parse *s, const char *text, size_t len, bool prefix, struct node **ret)
{
	struct node *n = node_new(s, NODE_TERM, NULL, NULL);

	catalog_words_split(s->w->split, text, len, term_token, n);
	n->prefix = prefix && n->n_tokens > 0;
	if (n->n_tokens == 0) {
		n->literal = mem_strndup(n, text, len);
		n->literal_len = len;
	}
	*ret = n;
	return len > 0 ? 0 : nonsense(s, "an empty word");
}

/* A sign or a word that means something elsewhere in a question: nobody shall believe that it did here. */
static void tell_plain(const char *text, size_t len, bool phrase)
{
	static const char *const operators[] = {"AND", "OR", "NOT"};

	if (memchr(text, '*', len))
		log_warn("`*` counts only at the end of a word, or behind the closing quotation mark of a phrase: in "
			 "`%.*s` it is passed over",
			 (int)len, text);
	for (size_t i = 0; phrase && i < ARRAY_LEN(operators); i++) {
		size_t n = strlen(operators[i]);
		for (const char *p = text, *end = text + len; (p = memmem(p, (size_t)(end - p), operators[i], n));
		     p += n)
			if ((p == text || strchr(" \t\n", p[-1])) && (p + n == end || strchr(" \t\n", p[n])))
				log_warn("in the phrase `%.*s` %s is a word like any other", (int)len, text,
					 operators[i]);
	}
}

static int parse_term(struct parse *s, struct node **ret)
{
	const char *from;

	blanks(s);
	if (s->p >= s->end || *s->p == ')' || keyword(s, "AND", false) || keyword(s, "OR", false))
		return nonsense(s, "a word is missing");
	if (*s->p == '"') {
		from = ++s->p;
		while (s->p < s->end && *s->p != '"')
			s->p++;
		if (s->p >= s->end)
			return nonsense(s, "a quotation mark is missing");
		size_t len = (size_t)(s->p++ - from);
		bool prefix = s->p < s->end && *s->p == '*';
		s->p += prefix;
		tell_plain(from, len, /* phrase= */ true);
		return term_of(s, from, len, prefix, ret);
	}
	from = s->p;
	while (s->p < s->end && !strchr(" \t\n()\"", *s->p))
		s->p++;
	size_t len = (size_t)(s->p - from);
	bool prefix = len > 1 && from[len - 1] == '*';
	if (len > 1)
		tell_plain(from, len - prefix, /* phrase= */ false);
	return term_of(s, from, len - prefix, prefix, ret);
}

static int parse_or(struct parse *s, struct node **ret);

static int parse_not(struct parse *s, struct node **ret)
{
	bool negative = keyword(s, "NOT", true);
	int rc;

	blanks(s);
	if (s->p < s->end && *s->p == '(') {
		s->p++;
		if (++s->depth > DEPTH_MAX)
			return nonsense(s, "too many brackets");
		rc = parse_or(s, ret);
		blanks(s);
		if (!rc && (s->p >= s->end || *s->p++ != ')'))
			rc = nonsense(s, "a bracket is missing");
		s->depth--;
	} else {
		rc = parse_term(s, ret);
	}
	if (!rc && negative)
		*ret = node_new(s, NODE_NOT, *ret, NULL);
	return rc;
}

static int parse_and(struct parse *s, struct node **ret)
{
	struct node *more;
	int rc = parse_not(s, ret);

	while (!rc) {
		if (!keyword(s, "AND", true) && (keyword(s, "OR", false) || s->p >= s->end || *s->p == ')'))
			return 0;
		rc = parse_not(s, &more);
		if (!rc)
			*ret = node_new(s, NODE_AND, *ret, more);
	}
	return rc;
}

static int parse_or(struct parse *s, struct node **ret)
{
	struct node *more;
	int rc = parse_and(s, ret);

	while (!rc && keyword(s, "OR", true)) {
		rc = parse_and(s, &more);
		if (!rc)
			*ret = node_new(s, NODE_OR, *ret, more);
	}
	return rc;
}

/* ---- a look at the raw line ---- */

/* The longest token that every match holds and that is plain ASCII. */
static void need(const struct node *n, const struct token **ret)
{
	if (n->kind == NODE_AND) {
		need(n->a, ret);
		need(n->b, ret);
	}
	if (n->kind != NODE_TERM)
		return;
	for (size_t i = 0; i < n->n_tokens; i++) {
		const struct token *t = &n->token[i];
		bool ascii = true;
		for (size_t k = 0; k < t->len; k++)
			ascii &= (unsigned char)t->s[k] < 0x80;
		if (ascii && (!*ret || t->len > (*ret)->len))
			*ret = t;
	}
}

bool words_may_line(const struct words *w, const char *line, size_t len)
{
	return !w->needle || needle_may(w->needle, line, len);
}

int words_parse(void *ctx, struct catalog_words *split, const char *text, struct words **ret, struct err *err)
{
	struct words *w = mem_new(ctx, struct words);
	const struct token *needle = NULL;
	struct parse s = {.p = text, .end = text + strlen(text), .ctx = w, .w = w, .err = err};

	w->split = split;
	buf_init(&w->folded, w, (size_t)64 << 20);
	if (s.end - s.p > QUESTION_MAX)
		return nonsense(&s, "they are too long");
	int rc = parse_or(&s, &w->root);
	blanks(&s);
	if (!rc && s.p < s.end)
		rc = nonsense(&s, "a bracket too many");
	if (rc) {
		talloc_free(w);
		return rc;
	}
	need(w->root, &needle);
	if (needle)
		w->needle = needle_new(w, split, needle->s, needle->len);
	*ret = w;
	return 0;
}

/* ---- for the index ---- */

/* FTS5's parser has a stack of 100, of which a bracket takes five at most, and calls what is beyond it an error. */
#define BRACKETS_MAX 16

static bool match_put(const struct node *n, bool below_and, unsigned brackets, struct buf *b);

static void match_term(const struct node *n, struct buf *b)
{
	for (size_t i = 0; i < n->n_tokens; i++) {
		buf_puts(b, i ? " AND \"" : "\"");
		buf_put(b, n->token[i].s, n->token[i].len); /* letters and digits only */
		buf_puts(b, n->prefix && i + 1 == n->n_tokens ? "\"*" : "\"");
	}
}

static bool match_two(const struct node *n, unsigned brackets, struct buf *b)
{
	bool both = n->kind == NODE_AND, left = match_put(n->a, both, brackets, b);
	size_t middle = b->len;

	if (left)
		buf_puts(b, both ? " AND " : " OR ");
	bool right = match_put(n->b, both, brackets, b);
	if (!right)
		b->len = middle;
	return both ? left || right : left && right;
}

/* false: this part allows anything, and nothing of it is in b.  AND binds closer, so brackets are for OR below it. */
static bool match_put(const struct node *n, bool below_and, unsigned brackets, struct buf *b)
{
	bool bracket = n->kind == NODE_OR && below_and;
	size_t at = b->len;

	if (n->kind == NODE_NOT || (n->kind == NODE_TERM && n->n_tokens == 0) || (bracket && brackets == BRACKETS_MAX))
		return false;
	if (n->kind == NODE_TERM) {
		match_term(n, b);
		return true;
	}
	if (bracket)
		buf_byte(b, '(');
	if (!match_two(n, brackets + bracket, b)) {
		b->len = at;
		return false;
	}
	if (bracket)
		buf_byte(b, ')');
	return true;
}

char *words_match(void *ctx, const struct words *w)
{
	struct buf b;

	buf_init(&b, ctx, 16 * QUESTION_MAX);
	if (!match_put(w->root, false, 0, &b) || b.overflow)
		return NULL;
	return mem_strndup(ctx, b.data, b.len);
}

/* ---- for a row ---- */

static int text_token(void *payload, const char *token, size_t len, size_t from, size_t to)
{
	struct words *w = payload;

	if (w->n_found == w->cap_found) {
		w->cap_found = w->cap_found ? 2 * w->cap_found : 256;
		w->found = mem_grow(w, w->found, struct found, w->cap_found);
	}
	w->found[w->n_found++] = (struct found){w->folded.len, len, from, to};
	buf_put(&w->folded, token, len);
	return 0;
}

static bool token_is(const struct words *w, size_t i, const struct token *t, bool prefix)
{
	const struct found *f = &w->found[i];

	return (prefix ? f->len >= t->len : f->len == t->len) && !memcmp(w->folded.data + f->at, t->s, t->len);
}

/* Place of the term's first token, or SIZE_MAX. */
static size_t term_at(const struct words *w, const struct node *n)
{
	for (size_t i = 0; i + n->n_tokens <= w->n_found; i++) {
		size_t k = 0;
		while (k < n->n_tokens && token_is(w, i + k, &n->token[k], n->prefix && k + 1 == n->n_tokens))
			k++;
		if (k == n->n_tokens)
			return i;
	}
	return SIZE_MAX;
}

static bool node_holds(const struct words *w, const struct node *n, const char *text, size_t len)
{
	switch (n->kind) {
	case NODE_TERM:
		return n->literal ? memmem(text, len, n->literal, n->literal_len) != NULL : term_at(w, n) != SIZE_MAX;
	case NODE_AND: return node_holds(w, n->a, text, len) && node_holds(w, n->b, text, len);
	case NODE_OR: return node_holds(w, n->a, text, len) || node_holds(w, n->b, text, len);
	case NODE_NOT: return !node_holds(w, n->a, text, len);
	}
	return false;
}

bool words_hold(struct words *w, const char *text, size_t len)
{
	w->n_found = 0;
	buf_clear(&w->folded);
	buf_byte(&w->folded, ' '); /* never NULL */
	catalog_words_split(w->split, text, len, text_token, w);
	return node_holds(w, w->root, text, len);
}

static bool first_place(const struct words *w, const struct node *n, size_t *ret_from, size_t *ret_to)
{
	if (n->kind == NODE_NOT)
		return false;
	if (n->kind != NODE_TERM)
		return first_place(w, n->a, ret_from, ret_to) || first_place(w, n->b, ret_from, ret_to);
	size_t i = n->literal ? SIZE_MAX : term_at(w, n);
	if (i == SIZE_MAX)
		return false;
	*ret_from = w->found[i].from;
	*ret_to = w->found[i + n->n_tokens - 1].to;
	return true;
}

/* Valid after words_hold on the same text. */
bool words_place(struct words *w, const char *text, size_t len, size_t *ret_from, size_t *ret_to)
{
	(void)text;
	return first_place(w, w->root, ret_from, ret_to) && *ret_to <= len;
}
