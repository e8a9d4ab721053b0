/*
 * catalog_words.c - FTS5's own tokenizer, called directly.
 *
 * The predicate on a row must split and fold words exactly as the index did, or an index would hide matches; so both
 * use the same code of the same library.
 */
#include "catalog_internal.h"

struct catalog_words {
	sqlite3 *db;
	fts5_tokenizer tokenizer;
	Fts5Tokenizer *instance;
};

static int words_free(struct catalog_words *w)
{
	if (w->instance)
		w->tokenizer.xDelete(w->instance);
	(void)sqlite3_close_v2(w->db); /* in memory, empty */
	return 0;
}

/* The documented way: a pointer travels through a bound parameter. */
static fts5_api *api_of(sqlite3 *db)
{
	auto_stmt sqlite3_stmt *q = NULL;
	fts5_api *api = NULL;

	if (sqlite3_prepare_v2(db, "SELECT fts5(?1)", -1, &q, NULL) == SQLITE_OK) {
		(void)sqlite3_bind_pointer(q, 1, &api, "fts5_api_ptr", NULL);
		(void)sqlite3_step(q); /* api stays NULL when it fails */
	}
	return api;
}

int catalog_words_new(void *ctx, struct catalog_words **ret, struct err *err)
{
	static const char *args[] = {"remove_diacritics", "2"};
	struct catalog_words *w = mem_new(ctx, struct catalog_words);
	void *user;

	talloc_set_destructor(w, words_free);
	fts5_api *api = sqlite3_open(":memory:", &w->db) == SQLITE_OK ? api_of(w->db) : NULL;
	if (!api || api->xFindTokenizer(api, "unicode61", &user, &w->tokenizer) != SQLITE_OK ||
	    w->tokenizer.xCreate(user, args, 2, &w->instance) != SQLITE_OK) {
		talloc_free(w);
		err_set(err, ERR_INTERNAL, "this SQLite has no FTS5");
		return err_hint(err, "Install the SQLite library of the distribution.");
	}
	*ret = w;
	return 0;
}

struct split { catalog_token_fn fn; void *payload; };

static int on_token(void *ctx, int flags, const char *token, int len, int from, int to)
{
	const struct split *s = ctx;

	(void)flags;
	return s->fn(s->payload, token, (size_t)len, (size_t)from, (size_t)to) ? SQLITE_DONE : SQLITE_OK;
}

void catalog_words_split(struct catalog_words *w, const char *text, size_t len, catalog_token_fn fn, void *payload)
{
	struct split s = {fn, payload};

	if (len == 0 || len > INT32_MAX / 2)
		return;
	int code = w->tokenizer.xTokenize(w->instance, &s, FTS5_TOKENIZE_QUERY, text, (int)len, on_token);
	if (code == SQLITE_NOMEM)
		mem_check(NULL);
}
