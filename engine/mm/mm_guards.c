/*
 * mm_guards.c - what the server itself wants kept: the legal-hold plugin's records, how far the compliance export has
 * come, and which tables can protect posts at all.
 */
#include <mmretain/mm_people.h>

#include <jansson.h>
#include <string.h>

#include "mm_sql.h"
#include "mm_thread_internal.h"

#define LEGAL_PREFIX "kvstore_legal_hold_"

struct legal {
	struct mm_guards *to;
	struct db_array users;
	int64_t since_ms, until_ms;
	bool public_too;
};

static void add_person(struct legal *l, const char *id, size_t len)
{
	auto_mem char *text = mem_strndup(NULL, id, len);

	db_array_add(&l->users, id, len);
	mm_segment_add(l->to, &l->to->legal_people, text, l->since_ms, l->until_ms, 0);
}

static int add_group_members(struct mm *mm, json_t *groups, bool have_table, struct legal *l, struct err *err)
{
	auto_mem TALLOC_CTX *ctx = mem_context(NULL, "legal groups");
	struct db_array a;
	struct db_result *res;
	const char *p;
	int r;

	if (!have_table || json_array_size(groups) == 0)
		return 0;
	db_array_init(&a, ctx);
	for (size_t i = 0; i < json_array_size(groups); i++)
		if (json_is_string(json_array_get(groups, i)))
			db_array_add(&a, json_string_value(json_array_get(groups, i)),
				     json_string_length(json_array_get(groups, i)));
	p = db_array_text(&a);
	r = db_query(ctx, mm->db, &sql_protect_legal_group, DB_ANY, 1, &p, &res, err);
	for (int64_t i = 0; r == 0 && i < db_rows(res); i++)
		add_person(l, db_text(res, i, 0), db_len(res, i, 0));
	return r;
}

static int add_channels(struct mm *mm, struct legal *l, const char *roots, struct err *err)
{
	char since[24], until[24];
	const char *p[5] = {db_array_text(&l->users), since, until, l->public_too ? "true" : "false", roots};
	struct db_result *res;
	int r;

	snprintf(since, sizeof since, "%lld", (long long)l->since_ms);
	snprintf(until, sizeof until, "%lld", (long long)l->until_ms);
	r = db_query(l->to, mm->db, &sql_protect_legal_channels, DB_ANY, ARRAY_LEN(p), p, &res, err);
	if (r < 0)
		return r;
	for (int64_t i = 0; i < db_rows(res); i++)
		mm_segment_add(l->to, &l->to->legal, db_text(res, i, 0), l->since_ms, l->until_ms, 0);
	talloc_free(res);
	return 0;
}

static int read_legal(struct mm_guards *to, struct mm *mm, json_t *doc, bool groups, const char *roots, struct err *err)
{
	auto_mem TALLOC_CTX *tmp = mem_context(NULL, "legal hold");
	json_t *users = json_object_get(doc, "user_ids");
	int64_t ends = json_integer_value(json_object_get(doc, "ends_at"));
	struct legal l = {.to = to,
			  .since_ms = json_integer_value(json_object_get(doc, "starts_at")),
			  .until_ms = ends ? ends : INT64_MAX,
			  .public_too = json_is_true(json_object_get(doc, "include_public_channels"))};
	int r;

	db_array_init(&l.users, tmp);
	for (size_t i = 0; i < json_array_size(users); i++)
		if (json_is_string(json_array_get(users, i)))
			add_person(&l, json_string_value(json_array_get(users, i)),
				   json_string_length(json_array_get(users, i)));
	r = add_group_members(mm, json_object_get(doc, "group_ids"), groups, &l, err);
	if (r == 0 && l.users.n > 0)
		r = add_channels(mm, &l, roots, err);
	return r;
}

json_t *mm_legal_parse(void *ctx, const char *hex, size_t len)
{
	char *text = mem_array(ctx, char, len / 2 + 1);
	json_t *doc = NULL;

	if (hex_decode(hex, len / 2, text))
		doc = json_loadb(text, len / 2, 0, NULL);
	explicit_bzero(text, len / 2); /* a secret is in it */
	talloc_free(text);
	return doc;
}

bool mm_legal_is_hold(const char *key)
{
	return strncmp(key, LEGAL_PREFIX, strlen(LEGAL_PREFIX)) == 0;
}

static int read_legals(struct mm_guards *to, struct mm *mm, bool groups, const char *roots, struct err *err)
{
	struct db_result *res;
	int r = db_query(to, mm->db, &sql_protect_legal, DB_ANY, 0, NULL, &res, err);

	for (int64_t i = 0; r == 0 && i < db_rows(res); i++) {
		json_t *doc = mm_legal_parse(to, db_text(res, i, 1), db_len(res, i, 1));
		bool is_hold = mm_legal_is_hold(db_text(res, i, 0));

		if (json_is_array(json_object_get(doc, "user_ids")) || json_is_array(json_object_get(doc, "group_ids")))
			r = read_legal(to, mm, doc, groups, roots, err);
		else if (is_hold) { /* a hold that cannot be read could protect anything */
			r = err_set(err, ERR_HOLD, "record %s of the legal-hold plugin cannot be read",
				    db_text(res, i, 0));
			err_hint(err, "Look at the hold in the plugin's System Console page; nothing is planned or "
				      "deleted until it is readable.");
		}
		json_decref(doc);
	}
	return r;
}

static int read_export(struct mm *mm, struct mm_exported *ret, struct err *err)
{
	struct db_result *res;
	int r = db_query(NULL, mm->db, &sql_protect_export, DB_ONE, 0, NULL, &res, err);

	if (r < 0)
		return r;
	ret->begun = db_i64(res, 0, 0) > 0;
	ret->ms = db_i64(res, 0, 1); /* 0 when none has ended, or its cursor is not readable: all is kept */
	if (db_len(res, 0, 2) <= MM_ID)
		memcpy(ret->id, db_text(res, 0, 2), db_len(res, 0, 2) + 1);
	talloc_free(res);
	return 0;
}

int mm_exported(struct mm *mm, struct mm_exported *ret, struct err *err)
{
	struct db_result *t auto_mem = NULL;
	int r = db_query(NULL, mm->db, &sql_protect_tables, DB_ONE, 0, NULL, &t, err);

	*ret = (struct mm_exported){0};
	return r < 0 || !db_bool(t, 0, 4) ? r : read_export(mm, ret, err);
}

static int read_flag_fields(struct mm *mm, struct mm_guards *g, struct err *err)
{
	struct db_array a;
	struct db_result *res;
	int r = db_query(g, mm->db, &sql_protect_flag_fields, DB_ANY, 0, NULL, &res, err);

	if (r < 0)
		return r;
	db_array_init(&a, g);
	for (int64_t i = 0; i < db_rows(res); i++)
		db_array_add(&a, db_text(res, i, 0), db_len(res, i, 0));
	g->property = db_rows(res) > 0;
	g->flag_fields = db_array_text(&a);
	talloc_free(res);
	return 0;
}

int mm_guards_read(void *ctx, struct mm *mm, const char *roots, struct mm_guards **ret, struct err *err)
{
	struct mm_guards *g = mem_new(ctx, struct mm_guards);
	struct db_result *t;
	int r = db_query(g, mm->db, &sql_protect_tables, DB_ONE, 0, NULL, &t, err);

	if (r == 0) {
		g->temporary = db_bool(t, 0, 1);
		g->marks_bytes = db_i64(t, 0, 5);
		if (db_bool(t, 0, 0))
			r = read_flag_fields(mm, g, err);
		if (r == 0 && db_bool(t, 0, 2))
			r = read_legals(g, mm, db_bool(t, 0, 3), roots, err);
		if (r == 0 && db_bool(t, 0, 4))
			r = read_export(mm, &g->exported, err);
	}
	if (r < 0) {
		talloc_free(g);
		return r;
	}
	mm_segments_settle(g, &g->legal);
	mm_segments_settle(g, &g->legal_people);
	*ret = g;
	return 0;
}
