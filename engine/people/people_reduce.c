/*
 * people_reduce.c - the transaction of one account.
 */
#include "people_internal.h"

#include <string.h>

enum { TRIES = 5 };

static const char lock_timeout_ms[] = "2000"; /* a person's rows are rarely busy; the next night is soon enough */

unsigned people_choices(const struct policy_people *p)
{
	unsigned choices = p->audits == AUDITS_DELETE ? MM_CHOICE_AUDITS_DELETE : MM_CHOICE_AUDITS_BLANK;

	if (!(p->keep & KEEP_POSITION))
		choices |= MM_CHOICE_POSITION;
	if (p->roles == ROLES_USER)
		choices |= MM_CHOICE_ROLES;
	if (p->names == NAMES_PSEUDONYM)
		choices |= MM_CHOICE_NAMES;
	return choices;
}

/* Each use of the archive's secret begins with a purpose of its own, so that none gives away another. */
static void keyed(const uint8_t *key, size_t key_len, const char *purpose, const char *const *part, size_t n,
		  struct digest *ret)
{
	auto_mem void *ctx = mem_context(NULL, "keyed digest");
	struct buf b;

	buf_init(&b, ctx, 1 << 16);
	buf_put(&b, purpose, strlen(purpose) + 1);
	for (size_t i = 0; i < n; i++)
		buf_put(&b, part[i], strlen(part[i]) + 1);
	hash_hmac(key, key_len, b.data, b.len, ret);
}

void people_pseudonym(const uint8_t *key, size_t key_len, const char *user_id, char ret[32])
{
	static const char alphabet[] = "ybndrfg8ejkmcpqxot1uwisza345h769";
	struct digest d;
	size_t n;

	keyed(key, key_len, "mmretain pseudonym", &user_id, 1, &d);
	n = (size_t)snprintf(ret, 32, "departed-");
	for (size_t i = 0; i < 16; i++)
		ret[n++] = alphabet[d.b[i] & 31];
	ret[n] = '\0';
}

void people_digest(const struct people_options *o, const struct people_row *row, char ret[DIGEST_HEX + 1])
{
	const char *part[] = {row->id, row->username, row->email};
	struct digest d;

	ret[0] = '\0';
	if (!o->key_len)
		return;
	keyed(o->key, o->key_len, "mmretain departed person", part, ARRAY_LEN(part), &d);
	digest_hex(&d, ret);
}

/* ---- one account ---- */

struct reduce {
	struct mm_people *p;
	const struct people_guards *guards;
	const struct people_options *o;
	struct people_user *user;
	struct people_counts *counts;
	void *ctx;
	unsigned choices;
	char *email, *address;        /* as it was; from now on */
	char deleteat[24], pseudonym[32], digest[DIGEST_HEX + 1];
	struct buf files;             /* lines for the journal */
	struct people_files blobs;
	bool told;                    /* that it begins */
};

/* Addresses and account names are unique, and anybody may have taken those that this account is to get. */
static int check_free(struct reduce *r, const struct db_result *res, struct err *err)
{
	const char *id = r->user->id;

	if (db_null(res, 0, LOCK_ADDRESS)) {
		err_set(err, ERR_DATABASE, "other accounts have the addresses %s%s to %s-99%s", id, PEOPLE_DOMAIN, id,
			PEOPLE_DOMAIN);
		return err_hint(err, "Give one of these accounts another address.");
	}
	if (!db_null(res, 0, LOCK_NAMED)) {
		err_set(err, ERR_DATABASE, "account %s has the name %s, the pseudonym of this one",
			db_text(res, 0, LOCK_NAMED), r->pseudonym);
		return err_hint(err, "Rename account %s.", db_text(res, 0, LOCK_NAMED));
	}
	r->address = mem_strdup(r->ctx, db_text(res, 0, LOCK_ADDRESS));
	return 0;
}

/* The row is locked to the end of the transaction: from here on the account cannot be reactivated. */
static int lock_account(struct reduce *r, bool *ret_same, struct err *err)
{
	const char *param[] = {PEOPLE_DOMAIN, r->user->id, (r->choices & MM_CHOICE_NAMES) ? r->pseudonym : NULL};
	struct people_row row;
	struct db_result *res = NULL;
	int rc = db_query(r->ctx, r->p->mm->db, &sql_people_lock, DB_ANY, 3, param, &res, err);

	*ret_same = false;
	if (rc < 0 || db_rows(res) == 0)
		return rc;
	row = (struct people_row){.id = r->user->id,
				  .username = db_text(res, 0, ROW_USERNAME),
				  .email = db_text(res, 0, ROW_EMAIL)};
	*ret_same = db_i64(res, 0, ROW_DELETEAT) == r->user->deactivated_ms &&
		    db_i64(res, 0, ROW_UPDATEAT) == r->user->updated_ms && !db_bool(res, 0, ROW_REMOTE) &&
		    !db_bool(res, 0, ROW_BOT) && !db_bool(res, 0, ROW_DONE);
	r->email = mem_strdup(r->ctx, row.email);
	people_digest(r->o, &row, r->digest);
	return *ret_same ? check_free(r, res, err) : 0;
}

/* A hold set a moment ago wins. */
static int ask_legal(struct reduce *r, bool *ret_held, struct err *err)
{
	mm_id *id = NULL;
	size_t n = 0;
	int rc = mm_legal_users(r->ctx, r->p->mm, &id, &n, err);

	*ret_held = false;
	for (size_t i = 0; rc == 0 && i < n; i++)
		*ret_held |= strcmp(id[i], r->user->id) == 0;
	return rc;
}

/* So does what has come to a channel under a hold since the plan. */
static int ask_guards(struct reduce *r, bool *ret_waits, struct err *err)
{
	int rc = people_guards_ask(r->guards, &r->user, 1, err);

	*ret_waits = r->user->verdict != PEOPLE_DUE;
	return rc;
}

static const char *parameter(const struct reduce *r, char what)
{
	switch (what) {
	case 'i':
		return r->user->id;
	case 'e':
		return r->email;
	case 'a':
		return r->address;
	case 't':
		return r->deleteat;
	default: /* p */
		return r->pseudonym;
	}
}

static int run_trace(struct reduce *r, size_t i, struct err *err)
{
	const struct mm_trace *t = &mm_trace[i];
	enum db_shape shape = t->returns_files ? DB_ANY : DB_NONE;
	const char *param[4];
	struct db_result *res = NULL;
	int n = (int)strlen(t->reduce_params), rc;

	for (int k = 0; k < n; k++)
		param[k] = parameter(r, t->reduce_params[k]);
	rc = db_query(r->ctx, r->p->mm->db, t->reduce, shape, n, param, t->returns_files ? &res : NULL, err);
	if (rc < 0)
		return rc;
	if (t->one_row && db_affected(r->p->mm->db) != 1)
		return err_set(err, ERR_DATABASE,
			       "%s changed %lld accounts in place of one: a trigger or rule of somebody's?",
			       t->reduce->name, (long long)db_affected(r->p->mm->db));
	r->counts->rows[i] += (uint64_t)(res ? db_rows(res) : db_affected(r->p->mm->db));
	for (int64_t row = 0; rc == 0 && res && row < db_rows(res); row++)
		rc = people_files_line(r->ctx, r->p->mm, &r->blobs, &r->files, r->user->id, res, row, err);
	return rc;
}

static int run_traces(struct reduce *r, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < mm_n_traces; i++)
		if (r->p->present[i] && mm_trace[i].reduce &&
		    (!mm_trace[i].choice || (mm_trace[i].choice & r->choices)))
			rc = run_trace(r, i, err);
	return rc;
}

static int tell(struct reduce *r, bool ended, struct err *err)
{
	struct people_event e = {.ended = ended,
				 .user_id = r->user->id,
				 .digest = r->digest,
				 .counts = ended ? r->counts : NULL};

	return r->o->event ? r->o->event(r->o->payload, &e, err) : 0;
}

/* Everything up to the commit; *ret_go tells whether there is something to commit. */
static int prepare(struct reduce *r, bool *ret_go, struct err *err)
{
	const char *timeout = lock_timeout_ms;
	struct db_result *res = NULL;
	bool same, held = false, waits = false;
	int rc = db_query(r->ctx, r->p->mm->db, &sql_people_settings, DB_ONE, 1, &timeout, &res, err);

	*ret_go = false;
	if (rc < 0 || (rc = lock_account(r, &same, err)) < 0 || (same && (rc = ask_legal(r, &held, err)) < 0) ||
	    (same && !held && (rc = ask_guards(r, &waits, err)) < 0))
		return rc;
	if (!same || held)
		r->user->verdict = same ? PEOPLE_LEGAL_HOLD : PEOPLE_CHANGED;
	if (!same || held || waits)
		return 0;
	if ((!r->told && (rc = tell(r, /* ended= */ false, err)) < 0) ||
	    (r->told = true, rc = run_traces(r, err)) < 0 || r->blobs.asked < r->blobs.n ||
	    (rc = people_files_journal(r->p->mm, r->o, &r->files, err)) < 0)
		return rc;
	*ret_go = true;
	return 0;
}

static int transaction(struct reduce *r, bool *ret_go, struct err *err)
{
	struct db *db = r->p->mm->db;
	int rc = db_begin(db, DB_READ_COMMITTED, err);

	if (rc < 0)
		return rc;
	rc = prepare(r, ret_go, err);
	if (rc == 0 && *ret_go)
		rc = fault_check(FAULT_PEOPLE_BEFORE_COMMIT, ERR_INTERNAL, err);
	if (rc < 0 || !*ret_go) {
		db_rollback(db);
		return rc;
	}
	/* Irreversible.  Just before: nothing has changed; a journal line may name files whose rows are still there,
	 * and is dropped. Just after: the account is depersonalised in every table at once; its picture, the files in
	 * the journal and the view of attributes follow, now or in people_finish of the next run, and the ledger's
	 * second line by people_settled. */
	if ((rc = db_commit(db, err)) < 0 && rc != -ERR_COMMIT_UNKNOWN)
		db_rollback(db);
	return rc;
}

/* Again when a bucket is to be asked first what lies at the paths of files: nothing has changed by then, and no row is
 * locked. */
static int transactions(struct reduce *r, bool *ret_go, struct err *err)
{
	for (unsigned n = 1;; n++) {
		int rc = transaction(r, ret_go, err);

		if (rc < 0 || *ret_go || r->blobs.asked == r->blobs.n)
			return rc;
		if ((rc = people_files_ask(r->ctx, r->p->mm, &r->blobs, err)) < 0 || n == TRIES) {
			r->user->verdict = rc == 0	      ? PEOPLE_CHANGED
					   : rc == -ERR_STORE ? PEOPLE_FAILED
							      : r->user->verdict;
			return rc;
		}
		*r->counts = people_counts_new(r->ctx);
		buf_clear(&r->files);
	}
}

static void add_counts(struct people_counts *to, const struct people_counts *from)
{
	for (size_t i = 0; i < mm_n_traces; i++)
		to->rows[i] += from->rows[i];
	to->pictures_gone += from->pictures_gone;
}

/* The picture at once, so that the account is whole again as soon as possible. */
static int after_commit(struct reduce *r, struct err *err)
{
	int rc = fault_check(FAULT_PEOPLE_AFTER_COMMIT, ERR_INTERNAL, err);

	r->user->verdict = PEOPLE_DONE;
	if (rc == 0 && (rc = fault_check(FAULT_PEOPLE_BEFORE_PICTURE, ERR_INTERNAL, err)) == 0 &&
	    people_picture_remove(r->p->mm, r->user->id) == PICTURE_GONE)
		r->counts->pictures_gone++;
	return rc < 0 ? rc : tell(r, /* ended= */ true, err);
}

int people_reduce(const struct people_guards *guards, const struct policy *policy, struct people_user *user,
		  const struct people_options *o, struct people_counts *counts, struct err *err)
{
	void *ctx auto_mem = mem_context(NULL, "people reduce");
	struct people_counts own = people_counts_new(ctx);
	struct reduce r = {.p = guards->p, .guards = guards, .o = o, .user = user, .counts = &own, .ctx = ctx,
			   .choices = people_choices(&policy->people)};
	bool go = false;
	int rc;

	if (strlen(user->id) != MM_ID)
		return err_set(err, ERR_DATABASE, "an account has an id that is not %d characters long", MM_ID);
	if ((r.choices & MM_CHOICE_NAMES) && !o->key_len) {
		err_set(err, ERR_KEY, "pseudonyms need the secret of the archive");
		return err_hint(err, "Run with the archive's store; nobody was depersonalised.");
	}
	if (o->key_len)
		people_pseudonym(o->key, o->key_len, user->id, r.pseudonym);
	snprintf(r.deleteat, sizeof(r.deleteat), "%lld", (long long)user->deactivated_ms);
	buf_init(&r.files, ctx, 16 << 20);
	rc = transactions(&r, &go, err);
	if (rc == 0 && go)
		rc = after_commit(&r, err);
	if (user->verdict == PEOPLE_DONE)
		add_counts(counts, &own);
	return rc;
}
