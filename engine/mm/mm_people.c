/*
 * mm_people.c - which places that say something about a person exist here, and what the role may do there.
 */
#include <mmretain/mm_people.h>

#include <jansson.h>
#include <string.h>

#include "mm_internal.h"
#include "mm_sql.h"
#include "mm_thread_internal.h"

/* Columns that hold a person's id, name or address: changed, kept or looked at above; and all of users.  What is not
 * here and looks like one is told, never touched. */
static const char *const known[] = {
	"audits.userid", "bots.ownerid", "bots.userid", "channelbookmarks.ownerid",
	"channeljoinrequests.reviewedby", "channeljoinrequests.userid", "channelmemberhistory.userid",
	"channelmembers.userid", "channels.creatorid", "commands.creatorid", "commands.username",
	"commandwebhooks.userid", "compliances.emails", "compliances.userid",
	"contentflaggingcommonreviewers.userid", "contentflaggingteamreviewers.userid", "desktoptokens.userid",
	"drafts.userid", "emoji.creatorid", "fileinfo.creatorid", "groupmembers.userid", "incomingwebhooks.userid",
	"incomingwebhooks.username", "notifyadmin.userid", "oauthaccessdata.userid", "oauthapps.creatorid",
	"oauthauthdata.userid", "outgoingoauthconnections.creatorid", "outgoingwebhooks.creatorid",
	"outgoingwebhooks.username", "postacknowledgements.userid", "postreminders.userid", "posts.userid",
	"preferences.userid", "productnoticeviewstate.userid", "propertyfields.createdby",
	"propertyfields.updatedby", "propertyvalues.createdby", "propertyvalues.updatedby", "reactions.userid",
	"readreceipts.userid", "recaps.userid", "recentsearches.userid", "remoteclusters.creatorid",
	"scheduledposts.userid", "sessions.userid", "sharedchannelremotes.creatorid", "sharedchannels.creatorid",
	"sharedchannelusers.userid", "sidebarcategories.userid", "sidebarchannels.userid", "status.userid",
	"teammembers.userid", "teams.email", "termsofservice.userid", "threadmemberships.userid",
	"threads.participants", "uploadsessions.userid", "useraccesstokens.userid", "usertermsofservice.userid",
	"views.creatorid",
	"users.allowmarketing", "users.authdata", "users.authservice", "users.createat", "users.deleteat",
	"users.email", "users.emailverified", "users.failedattempts", "users.firstname", "users.id",
	"users.lastlastlogin", "users.lastlogin", "users.lastname", "users.lastpasswordupdate",
	"users.lastpictureupdate", "users.locale", "users.mfaactive", "users.mfasecret", "users.mfausedtimestamps",
	"users.nickname", "users.notifyprops", "users.password", "users.position", "users.props", "users.remoteid",
	"users.roles", "users.timezone", "users.updateat", "users.username",
};

static const char *const integration_tables[] = {
	"incomingwebhooks", "outgoingwebhooks", "commands", "oauthapps", "outgoingoauthconnections", "bots",
};

/* ---- what exists ---- */

static int probe_present(struct mm_people *p, struct err *err)
{
	void *ctx auto_mem = mem_context(NULL, "people probe");
	struct db_array table, column;
	struct db_result *res = NULL;
	const char *param[2];
	int r;

	db_array_init(&table, ctx);
	db_array_init(&column, ctx);
	for (size_t i = 0; i < mm_n_traces; i++) {
		db_array_add(&table, mm_trace[i].table, strlen(mm_trace[i].table));
		db_array_add(&column, mm_trace[i].column, mm_trace[i].column ? strlen(mm_trace[i].column) : 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(integration_tables); i++) {
		db_array_add(&table, integration_tables[i], strlen(integration_tables[i]));
		db_array_add(&column, NULL, 0);
	}
	param[0] = db_array_text(&table);
	param[1] = db_array_text(&column);
	r = db_query(ctx, p->mm->db, &sql_people_present, DB_ANY, 2, param, &res, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < mm_n_traces; i++)
		p->present[i] = db_bool(res, (int64_t)i, 0);
	p->integrations = true;
	for (size_t i = 0; i < ARRAY_LEN(integration_tables); i++)
		p->integrations &= db_bool(res, (int64_t)(mm_n_traces + i), 0);
	return 0;
}

static int probe_unknown(struct mm_people *p, struct err *err)
{
	void *ctx auto_mem = mem_context(NULL, "people unknown");
	struct mm_list unknown = {0};
	struct db_result *res = NULL;
	struct db_array a;
	const char *param;
	int r;

	db_array_init(&a, ctx);
	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		db_array_add(&a, known[i], strlen(known[i]));
	param = db_array_text(&a);
	r = db_query(ctx, p->mm->db, &sql_people_unknown, DB_ANY, 1, &param, &res, err);
	for (int64_t i = 0; r == 0 && i < db_rows(res); i++)
		mm_list_add(p, &unknown, "%s", db_text(res, i, 0));
	p->unknown = unknown.item;
	p->n_unknown = unknown.n;
	return r;
}

int mm_people_probe(void *ctx, struct mm *mm, struct mm_people **ret, struct err *err)
{
	struct mm_people *p = mem_new(ctx, struct mm_people);
	int r;

	p->mm = mm;
	p->present = mem_array(p, bool, (unsigned)mm_n_traces);
	r = probe_present(p, err);
	if (r == 0)
		r = probe_unknown(p, err);
	if (r < 0) {
		talloc_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

/* ---- what the role may do ---- */

enum { WANTED_MAX = 400 };
struct wanted { struct { const char *table, *privilege, *column; size_t len; } item[WANTED_MAX]; size_t n; };

/* A column NULL is the whole table; each once. */
static void want_one(struct wanted *w, const char *table, const char *privilege, const char *column, size_t len)
{
	for (size_t i = 0; i < w->n; i++)
		if (!strcmp(w->item[i].table, table) && !strcmp(w->item[i].privilege, privilege) &&
		    w->item[i].len == len && (!len || !memcmp(w->item[i].column, column, len)))
			return;
	mem_check(w->n < WANTED_MAX ? w : NULL);
	w->item[w->n].table = table;
	w->item[w->n].privilege = privilege;
	w->item[w->n].column = column;
	w->item[w->n++].len = len;
}

static void want(struct wanted *w, const char *table, const char *privilege, const char *columns)
{
	if (!columns)
		want_one(w, table, privilege, NULL, 0);
	for (const char *c = columns; c && *c;) {
		size_t len = strcspn(c, " ");

		want_one(w, table, privilege, c, len);
		c += len + (c[len] == ' ');
	}
}

static void want_trace(struct wanted *w, const struct mm_trace *t)
{
	want(w, t->table, "SELECT", t->read);
	if (t->act == MM_TRACE_BLANK)
		want(w, t->table, "UPDATE", t->write);
	else if (t->returns_files && strcmp(t->table, "uploadsessions"))
		want(w, "fileinfo", "DELETE", NULL);
	else
		want(w, t->table, "DELETE", NULL);
}

static void want_all(struct wanted *w, const struct mm_people *p, unsigned choices)
{
	want(w, "users", "SELECT", "id username email deleteat updateat remoteid authdata authservice password");
	want(w, "bots", "SELECT", "userid ownerid deleteat");
	want(w, "channelbookmarks", "SELECT", "fileinfoid deleteat");
	want(w, "incomingwebhooks", "SELECT", "id userid displayname deleteat");
	want(w, "outgoingwebhooks", "SELECT", "id creatorid displayname deleteat");
	want(w, "commands", "SELECT", "id creatorid trigger deleteat");
	want(w, "oauthapps", "SELECT", "id creatorid name");
	want(w, "outgoingoauthconnections", "SELECT", "id creatorid name");
	if (choices & MM_CHOICE_NAMES)
		want(w, "posts", "SELECT", "id message createat");
	for (size_t i = 0; i < mm_n_traces; i++)
		if (p->present[i] && mm_trace[i].reduce && (!mm_trace[i].choice || (mm_trace[i].choice & choices)))
			want_trace(w, &mm_trace[i]);
}

static void wanted_params(void *ctx, const struct mm_people *p, unsigned choices, const char *ret[3])
{
	struct wanted *w = mem_new(ctx, struct wanted);
	struct db_array a[3];

	want_all(w, p, choices);
	for (int k = 0; k < 3; k++)
		db_array_init(&a[k], ctx);
	for (size_t i = 0; i < w->n; i++) {
		db_array_add(&a[0], w->item[i].table, strlen(w->item[i].table));
		db_array_add(&a[1], w->item[i].privilege, strlen(w->item[i].privilege));
		db_array_add(&a[2], w->item[i].column, w->item[i].len);
	}
	for (int k = 0; k < 3; k++)
		ret[k] = db_array_text(&a[k]);
}

int mm_people_grants(struct mm_people *p, unsigned choices, struct err *err)
{
	void *ctx auto_mem = mem_context(NULL, "people grants");
	struct db_result *res = NULL;
	struct buf missing;
	const char *param[3];
	int r;

	wanted_params(ctx, p, choices, param);
	r = db_query(ctx, p->mm->db, &sql_probe_grants, DB_ANY, 3, param, &res, err);
	if (r < 0 || db_rows(res) == 0)
		return r;
	buf_init(&missing, ctx, 1 << 16);
	for (int64_t i = 0; i < db_rows(res); i++)
		buf_printf(&missing, "%s%s", i ? ", " : "", db_text(res, i, 0));
	err_set(err, ERR_PERMISSION, "to depersonalise, the database role lacks %s", missing.data);
	return err_hint(err, "Run `mmretain grants` for the statements and let the owner of the tables execute them; "
			     "nobody was depersonalised.");
}

int mm_people_grant_script(struct mm_people *p, unsigned choices, const char *role, struct buf *out, struct err *err)
{
	void *ctx auto_mem = mem_context(NULL, "people grant script");
	enum { OTHER_LINES = 2 }; /* database and schema: mm_grant_script has them */
	struct db_result *lines = NULL;
	const char *param[4];
	int r;

	wanted_params(ctx, p, choices, param);
	param[3] = role;
	r = db_query(ctx, p->mm->db, &sql_grant_script, DB_ANY, 4, param, &lines, err);
	for (int64_t i = OTHER_LINES; r == 0 && i < db_rows(lines); i++)
		buf_printf(out, "%s\n", db_text(lines, i, 0));
	return r;
}

int mm_people_ready(struct mm_people *p, struct err *err)
{
	struct db_result *res auto_mem = NULL, *lock auto_mem = NULL;
	const char *names = "{db_lock}";
	int r;

	if (db_in_recovery(p->mm->db)) {
		err_set(err, ERR_DATABASE, "%s is a standby server: nobody can be depersonalised there",
			db_text_safe(p->mm->db));
		return err_hint(err, "Connect to the primary server.");
	}
	r = db_query(NULL, p->mm->db, &sql_probe_side_tables, DB_ANY, 1, &names, &res, err);
	if (r < 0 || db_rows(res) == 0)
		return r;
	if (!db_bool(res, 0, 1)) {
		err_set(err, ERR_PERMISSION, "table db_lock may not be read: a running migration cannot be ruled out");
		return err_hint(err, "Grant SELECT on db_lock to the role.");
	}
	r = db_query(NULL, p->mm->db, &sql_probe_migration, DB_ONE, 0, NULL, &lock, err);
	if (r < 0 || db_i64(lock, 0, 0) == 0)
		return r;
	err_set(err, ERR_SCHEMA, "a migration of the server's schema is running (db_lock)");
	return err_hint(err, "Run again when the server's upgrade is finished; nobody was depersonalised.");
}

/* ---- the legal-hold plugin ---- */

struct held { void *ctx; mm_id *id; size_t n; };

static void hold(struct held *h, const char *id)
{
	if (!id || strlen(id) > MM_ID)
		return;
	h->id = mem_grow(h->ctx, h->id, mm_id, (unsigned)h->n + 1);
	snprintf(h->id[h->n++], sizeof(mm_id), "%s", id);
}

static int hold_groups(struct mm *mm, json_t *groups, struct held *h, struct err *err)
{
	void *ctx auto_mem = mem_context(NULL, "legal groups");
	struct db_result *res = NULL;
	struct db_array a;
	const char *param;
	size_t i;
	json_t *g;
	int r;

	if (json_array_size(groups) == 0)
		return 0;
	db_array_init(&a, ctx);
	json_array_foreach (groups, i, g)
		if (json_is_string(g))
			db_array_add(&a, json_string_value(g), json_string_length(g));
	param = db_array_text(&a);
	r = db_query(ctx, mm->db, &sql_protect_legal_group, DB_ANY, 1, &param, &res, err);
	for (int64_t row = 0; r == 0 && row < db_rows(res); row++)
		hold(h, db_text(res, row, 0));
	return r;
}

static int hold_record(struct mm *mm, const struct db_result *res, int64_t row, bool groups, struct held *h,
		       struct err *err)
{
	json_t *doc = mm_legal_parse(h->ctx, db_text(res, row, 1), db_len(res, row, 1));
	json_t *users = json_object_get(doc, "user_ids"), *u;
	bool readable = json_is_array(users) || json_is_array(json_object_get(doc, "group_ids"));
	size_t i;
	int r = 0;

	json_array_foreach (users, i, u)
		hold(h, json_string_value(u));
	if (readable && groups)
		r = hold_groups(mm, json_object_get(doc, "group_ids"), h, err);
	json_decref(doc);
	if (readable || !mm_legal_is_hold(db_text(res, row, 0)))
		return r;
	err_set(err, ERR_HOLD, "record %s of the legal-hold plugin cannot be read", db_text(res, row, 0));
	return err_hint(err, "Look at the hold in the plugin's System Console page; nobody is depersonalised until it "
			     "is readable.");
}

int mm_legal_users(void *ctx, struct mm *mm, mm_id **ret, size_t *ret_n, struct err *err)
{
	struct db_result *tables auto_mem = NULL, *res auto_mem = NULL;
	struct held h = {.ctx = mem_context(ctx, "legal users")};
	int r = db_query(NULL, mm->db, &sql_protect_tables, DB_ONE, 0, NULL, &tables, err);

	if (r == 0 && db_bool(tables, 0, 2))
		r = db_query(NULL, mm->db, &sql_protect_legal, DB_ANY, 0, NULL, &res, err);
	for (int64_t i = 0; r == 0 && res && i < db_rows(res); i++)
		r = hold_record(mm, res, i, db_bool(tables, 0, 3), &h, err);
	if (r < 0) {
		talloc_free(h.ctx);
		return r;
	}
	*ret = h.id;
	*ret_n = h.n;
	return 0;
}
