/*
 * plan_read.c - reads a plan file back and trusts nothing in it before the digest is right.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plan_internal.h"

struct reader {
	const char *path;
	const struct policy *policy;
	struct plan *plan;
	struct buf text;          /* scratch for unescaping */
	struct hash *hash;
	uint64_t line;
	size_t scope_room, rules_read;
	bool has_header, has_end;
};

/* Members of one line. */
struct fields { struct { char key[24]; const char *val; size_t len; enum json_type type; } f[20]; size_t n; };

static int damaged(const struct reader *r, struct err *err)
{
	(void)err_set(err, ERR_VERIFY, "plan file %s is damaged (line %llu)", r->path, (unsigned long long)r->line);
	return err_hint(err, "Make the plan anew with `mmretain plan --out`; a plan file must not be edited.");
}

static bool scan(struct fields *to, const char *line, size_t len)
{
	struct json_scan s;

	to->n = 0;
	json_scan_init(&s, line, len);
	while (json_scan_next(&s)) {
		if (to->n == ARRAY_LEN(to->f) || s.key_len >= sizeof to->f[0].key)
			return false;
		memcpy(to->f[to->n].key, s.key, s.key_len);
		to->f[to->n].key[s.key_len] = '\0';
		to->f[to->n].val = s.val;
		to->f[to->n].len = s.val_len;
		to->f[to->n++].type = s.type;
	}
	return !s.bad;
}

static const char *raw(const struct fields *f, const char *key, enum json_type type, size_t *ret_len)
{
	for (size_t i = 0; i < f->n; i++)
		if (strcmp(f->f[i].key, key) == 0 && f->f[i].type == type) {
			*ret_len = f->f[i].len;
			return f->f[i].val;
		}
	return NULL;
}

static bool get_int(const struct fields *f, const char *key, int64_t *ret)
{
	char text[24];
	size_t len;
	const char *v = raw(f, key, JSON_NUMBER, &len);

	if (!v || len >= sizeof text)
		return false;
	memcpy(text, v, len);
	text[len] = '\0';
	*ret = strtoll(text, NULL, 10);
	return true;
}

/* A key that may be absent. */
static bool get_int_or(const struct fields *f, const char *key, int64_t otherwise, int64_t *ret)
{
	size_t len;

	if (raw(f, key, JSON_NUMBER, &len))
		return get_int(f, key, ret);
	*ret = otherwise;
	return true;
}

static bool get_count(const struct fields *f, const char *key, uint64_t *ret)
{
	int64_t v;

	if (!get_int(f, key, &v) || v < 0)
		return false;
	*ret = (uint64_t)v;
	return true;
}

/* Unescaped into the reader's scratch; valid until the next call. */
static const char *get_text(struct reader *r, const struct fields *f, const char *key)
{
	size_t len;
	const char *v = raw(f, key, JSON_STR, &len);

	buf_clear(&r->text);
	if (!v || !json_unescape(&r->text, v, len))
		return NULL;
	buf_byte(&r->text, '\0');
	return r->text.overflow || strlen(r->text.data) + 1 != r->text.len ? NULL : r->text.data;
}

static bool copy_text(struct reader *r, const struct fields *f, const char *key, char **ret)
{
	const char *v = get_text(r, f, key);

	if (v)
		*ret = mem_crumb_text(&r->plan->crumbs, v, strlen(v));
	return v != NULL;
}

static bool copy_id(struct reader *r, const struct fields *f, const char *key, mm_id ret)
{
	const char *v = get_text(r, f, key);

	if (!v || strlen(v) > MM_ID)
		return false;
	memcpy(ret, v, strlen(v) + 1);
	return true;
}

static bool get_digest(struct reader *r, const struct fields *f, const char *key, struct digest *ret)
{
	const char *v = get_text(r, f, key);

	return v && strlen(v) == DIGEST_HEX && hex_decode(v, DIGEST_BYTES, ret->b);
}

static bool get_reasons(const struct fields *f, uint64_t *reason)
{
	struct json_scan s;
	size_t len;
	const char *v = raw(f, "reasons", JSON_OBJ, &len);

	if (!v)
		return false;
	json_scan_init(&s, v, len);
	while (json_scan_next(&s)) {
		enum plan_reason which;

		if (!plan_reason_parse(s.key, s.key_len, &which))
			return false;
		reason[which] = strtoull(s.val, NULL, 10);
	}
	return !s.bad;
}

static bool get_due(const struct fields *f, uint64_t *threads, uint64_t *posts, uint64_t *bytes)
{
	return get_count(f, "threads", threads) && get_count(f, "posts", posts) && get_count(f, "bytes", bytes);
}

/* ---- one kind of line each; false: damaged ---- */

static bool read_strays(const struct fields *f, struct mm_strays *to)
{
	size_t len;
	const char *v = raw(f, "strays", JSON_ARR, &len);
	uint64_t *const field[] = {&to->no_channel, &to->no_root, &to->no_original, &to->other_channel, &to->odd_time};
	char *end;

	for (size_t i = 0; v && i < ARRAY_LEN(field); i++) {
		if (*v != (i ? ',' : '[') || v[1] < '0' || v[1] > '9')
			return false;
		*field[i] = strtoull(v + 1, &end, 10);
		v = end;
	}
	return v && *v == ']';
}

static bool read_header(struct reader *r, const struct fields *f)
{
	int64_t version;
	struct plan *p = r->plan;

	r->has_header = !r->has_header && get_int(f, "version", &version) && version == 1 &&
			get_digest(r, f, "policy", &p->policy_digest) && get_int(f, "taken", &p->taken_ms) &&
			get_int_or(f, "deleted_cut", INT64_MIN, &p->deleted_cut_ms) &&
			copy_text(r, f, "system", &p->system_identifier) && copy_text(r, f, "database", &p->database) &&
			read_strays(f, &p->strays);
	return r->has_header;
}

static bool read_warning(struct reader *r, const struct fields *f)
{
	struct plan *p = r->plan;

	p->warning = mem_grow(p, p->warning, char *, p->n_warnings + 1);
	return copy_text(r, f, "text", &p->warning[p->n_warnings++]);
}

static const struct policy_rule *find_rule(const struct policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		if (strcmp(policy->rule[i].name, name) == 0)
			return &policy->rule[i];
	return NULL;
}

static bool read_rule(struct reader *r, const struct fields *f)
{
	const char *name = get_text(r, f, "name");
	const struct policy_rule *rule = name ? find_rule(r->policy, name) : NULL;
	struct plan_rule *to;

	if (!rule || r->rules_read++ != (size_t)(rule - r->policy->rule))
		return false;
	to = &r->plan->rule[rule - r->policy->rule];
	to->rule = rule;
	return get_int(f, "cut", &to->cut_ms) && get_int(f, "floor", &to->floor_ms) &&
	       get_count(f, "scopes", &to->scopes) && get_count(f, "total_posts", &to->total_posts) &&
	       get_due(f, &to->due_threads, &to->due_posts, &to->due_bytes) && get_reasons(f, to->reason);
}

static bool read_scope_names(struct reader *r, const struct fields *f, struct mm_scope *to)
{
	const char *type = get_text(r, f, "type");
	int64_t archived;

	if (!type || !get_int(f, "archived", &archived))
		return false;
	to->type = type[0];
	to->channel_archived = archived & 1;
	to->team_archived = archived & 2;
	return copy_id(r, f, "channel", to->channel_id) && copy_id(r, f, "team", to->team_id) &&
	       copy_text(r, f, "channel_name", &to->channel_name) &&
	       copy_text(r, f, "channel_display", &to->channel_display) &&
	       copy_text(r, f, "team_name", &to->team_name) && copy_text(r, f, "team_display", &to->team_display);
}

static bool get_scope_reasons(struct plan *plan, const struct fields *f, struct plan_scope *to)
{
	uint64_t reason[PLAN_REASONS] = {0};

	if (!get_reasons(f, reason))
		return false;
	for (int i = 0; i < PLAN_REASONS; i++)
		if (reason[i])
			plan_scope_count(plan, to)[i] = reason[i];
	return true;
}

static bool read_scope(struct reader *r, const struct fields *f)
{
	struct plan *p = r->plan;
	struct plan_scope *to;
	struct mm_scope *mm;
	const char *rule = get_text(r, f, "rule");
	int64_t unreached;

	if (p->n_scopes == r->scope_room) {
		r->scope_room = plan_scope_room(r->scope_room);
		p->scope = mem_grow(p, p->scope, struct plan_scope, r->scope_room);
	}
	to = &p->scope[p->n_scopes++];
	*to = (struct plan_scope){.rule = rule && *rule ? find_rule(r->policy, rule) : NULL};
	if (!rule || (*rule && !to->rule) || !get_int(f, "limit_unreached", &unreached))
		return false;
	to->limit_unreached = unreached != 0;
	mm = mem_crumb(&p->crumbs, sizeof *mm);
	to->mm = mm;
	return read_scope_names(r, f, mm) && get_due(f, &to->due_threads, &to->due_posts, &to->due_bytes) &&
	       get_count(f, "size_posts", &to->size_posts) && get_count(f, "size_bytes", &to->size_bytes) &&
	       get_scope_reasons(p, f, to);
}

/* A part is of what was deleted before a time; without that nobody knows which. */
static bool set_part(struct reader *r, struct plan_thread *t, int64_t part)
{
	struct plan *p = r->plan;

	t->part = part == 1;
	p->due_parts += t->part;
	p->rule[p->scope[t->scope].rule - r->policy->rule].due_parts += t->part;
	return part == 0 || (part == 1 && t->reason == DUE_DELETED && p->deleted_cut_ms != INT64_MIN);
}

static bool read_thread(struct reader *r, const struct fields *f, struct plan_thread *t)
{
	struct plan *p = r->plan;
	enum plan_reason reason;
	uint64_t scope;
	int64_t part;
	size_t len;
	const char *v = raw(f, "reason", JSON_STR, &len);

	if (!v || !plan_reason_parse(v, len, &reason) || !get_count(f, "scope", &scope) || scope >= p->n_scopes ||
	    !p->scope[scope].rule)
		return false;
	t->reason = (uint8_t)reason;
	t->scope = (uint32_t)scope;
	p->due_threads++;
	if (!copy_id(r, f, "root", t->root) || !copy_id(r, f, "channel", t->channel_id) ||
	    !get_int(f, "create", &t->root_create_ms) || !get_int(f, "last", &t->last_reply_ms) ||
	    !get_count(f, "posts", &t->posts) || !get_count(f, "bytes", &t->bytes))
		return false;
	p->due_posts += t->posts;
	p->due_bytes += t->bytes;
	return get_int_or(f, "part", 0, &part) && set_part(r, t, part) &&
	       strcmp(t->channel_id, p->scope[scope].mm->channel_id) == 0;
}

static bool read_end(struct reader *r, const struct fields *f)
{
	struct plan *p = r->plan;
	struct digest have, want;
	uint64_t threads, posts, bytes;

	hash_final(r->hash, &have);
	r->has_end = get_due(f, &threads, &posts, &bytes) && threads == p->due_threads && posts == p->due_posts &&
		     bytes == p->due_bytes && get_digest(r, f, "digest", &want) &&
		     memcmp(have.b, want.b, DIGEST_BYTES) == 0;
	p->digest = have;
	return r->has_end;
}

static bool is_kind(const struct fields *f, const char *kind)
{
	size_t len;
	const char *v = raw(f, "k", JSON_STR, &len);

	return v && strlen(kind) == len && memcmp(v, kind, len) == 0;
}

static int read_line(struct reader *r, const char *line, size_t len, struct err *err)
{
	struct fields f;
	struct plan_thread t = {0};
	bool good;

	r->line++;
	if (r->has_end || !scan(&f, line, len - 1) || (!r->has_header && !is_kind(&f, "plan")))
		return damaged(r, err);
	if (is_kind(&f, "end"))
		return read_end(r, &f) ? 0 : damaged(r, err);
	hash_update(r->hash, line, len);
	if (is_kind(&f, "thread"))
		return read_thread(r, &f, &t) ? spool_add(r->plan->due, &t, err) : damaged(r, err);
	good = is_kind(&f, "scope") ? read_scope(r, &f) : is_kind(&f, "rule") ? read_rule(r, &f) :
	       is_kind(&f, "warning") ? read_warning(r, &f) : is_kind(&f, "plan") ? read_header(r, &f) : false;
	if (good && r->has_header && r->line == 1 &&
	    memcmp(r->plan->policy_digest.b, r->policy->digest.b, DIGEST_BYTES) != 0) {
		(void)err_set(err, ERR_POLICY, "plan file %s was made with another policy", r->path);
		return err_hint(err, "The policy file changed after the plan was made: make the plan anew.");
	}
	return good ? 0 : damaged(r, err);
}

static int read_lines(struct reader *r, int fd, struct err *err)
{
	auto_mem char *mem = mem_array(NULL, char, 2 * PLAN_LINE_BYTES);
	size_t have = 0;
	ssize_t got;
	int rc = 0;

	while ((got = read(fd, mem + have, 2 * PLAN_LINE_BYTES - have)) > 0 || (got < 0 && errno == EINTR)) {
		char *line = mem, *end = mem + have + (got > 0 ? got : 0), *nl;

		while (rc == 0 && (nl = memchr(line, '\n', (size_t)(end - line)))) {
			rc = read_line(r, line, (size_t)(nl + 1 - line), err);
			line = nl + 1;
		}
		if (rc < 0)
			return rc;
		have = (size_t)(end - line);
		memmove(mem, line, have);
		if (have == 2 * PLAN_LINE_BYTES)
			break;
	}
	if (got < 0)
		return err_sys(err, ERR_STORE, errno, "cannot read %s", r->path);
	return have || !r->has_end || r->rules_read != r->plan->n_rules ? damaged(r, err) : 0;
}

static int check_database(const struct reader *r, const struct mm *mm, struct err *err)
{
	const struct plan *p = r->plan;
	const char *system = mm->schema && mm->schema->system_identifier ? mm->schema->system_identifier : "";
	const char *database = mm->schema && mm->schema->database ? mm->schema->database : "";
	enum mm_home home = mm_home(mm->schema, p->system_identifier, p->database);

	if (home == MM_HOME_SAME)
		return 0;
	if (home != MM_HOME_OTHER) {
		(void)err_set(err, ERR_GUARD, "nothing shows that plan file %s is of this server's database %s: %s",
			      r->path, database, mm_home_problem(home));
		return err_hint(err, home == MM_HOME_HIDDEN ? MM_HOME_GRANT " to the role again, or make a new plan."
							    : "Make a new plan.");
	}
	(void)err_set(err, ERR_GUARD, "plan file %s is of database %s on system %s, not of %s on %s", r->path,
		      p->database, p->system_identifier, database, system);
	return err_hint(err, "Use the plan with the database it was made for, or make a new one.");
}

/* A plan file is an order: what it names goes.  A FIFO would keep us waiting with the lock held. */
static int open_plan(const char *path, int *ret_fd, struct err *err)
{
	struct stat st;

	*ret_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*ret_fd < 0) {
		err_sys(err,
			errno == ENOENT	  ? ERR_NOT_FOUND
			: errno == EACCES ? ERR_PERMISSION
					  : ERR_STORE,
			errno, "cannot open plan file %s", path);
		return err_hint(err, "Name a file that `mmretain plan --out FILE` wrote, and that this user may read.");
	}
	if (fstat(*ret_fd, &st) == 0 && !S_ISREG(st.st_mode)) {
		err_set(err, ERR_USAGE, "plan file %s is not a regular file", path);
		return err_hint(err, "Name a file that `mmretain plan --out FILE` wrote.");
	}
	return file_check_trusted(*ret_fd, "plan file", path, err);
}

int plan_read(void *ctx, const char *path, const struct policy *policy, struct mm *mm, struct plan **ret,
	      struct err *err)
{
	auto_mem TALLOC_CTX *tmp = mem_context(NULL, "plan_read");
	struct plan *plan = plan_empty(ctx);
	struct reader r = {.path = path, .policy = policy, .plan = plan, .hash = hash_new(tmp)};
	int fd auto_fd = -1;
	int rc = open_plan(path, &fd, err);

	if (rc == 0)
		rc = spool_new(plan, sizeof(struct plan_thread), &plan->due, err);

	buf_init(&r.text, tmp, PLAN_LINE_BYTES);
	plan->n_rules = policy->n_rules;
	plan->rule = mem_array(plan, struct plan_rule, policy->n_rules + 1);
	if (rc == 0)
		rc = read_lines(&r, fd, err);
	if (rc == 0)
		rc = check_database(&r, mm, err);
	if (rc == 0)
		rc = spool_rewind(plan->due, err);
	if (rc < 0) {
		talloc_free(plan);
		return rc;
	}
	*ret = plan;
	return 0;
}
