/*
 * run_mirror.c - the copy of the archive in a bucket, one thing at a time.
 *
 * The folder is the archive; the mirror is what is left when its host is lost.  So objects have the paths of the files:
 * bundles/..., ledger/..., and the mark.  A bundle's object is never written over.  The ledger's is, by one that begins
 * with it.
 */
#include "run_internal.h"
#include "run_mirror.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int run_mirror_open(void *ctx, const struct policy *policy, struct mirror **ret, struct err *err)
{
	const struct policy_mirror *p = &policy->archive.mirror;
	const struct mirror_options o = {.bucket = p->bucket,
					 .endpoint = p->endpoint,
					 .region = p->region,
					 .credentials = p->credentials,
					 .ca = p->ca,
					 .timeout_ms = p->timeout_ms};

	*ret = NULL;
	return p->present ? mirror_open(ctx, &o, ret, err) : 0;
}

/* ---- the ledger ---- */

/* Of what fd holds, from its beginning. */
static int sum_of(int fd, const char *name, struct mirror_object *o, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "sum");
	char *piece = mem_array(ctx, char, 64 << 10);
	struct hash *h = hash_new(ctx);
	int rc = 0;

	for (uint64_t at = 0; at < o->bytes && rc == 0;) {
		size_t n = o->bytes - at < 64 << 10 ? (size_t)(o->bytes - at) : 64 << 10;

		if ((rc = file_pread_all(fd, piece, n, (off_t)at, name, err)) == 0)
			hash_update(h, piece, n);
		at += n;
	}
	hash_final(h, &o->sum);
	return rc;
}

/* Up to its last LF: what is behind it is not a record, and may yet be cut off. */
static int whole_lines(int fd, const char *name, uint64_t *ret_bytes, struct err *err)
{
	struct stat st;
	char c = '\n';
	int rc = 0;

	if (fstat(fd, &st) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot look at \"%s\"", name);
	*ret_bytes = (uint64_t)st.st_size;
	while (rc == 0 && *ret_bytes && (rc = file_pread_all(fd, &c, 1, (off_t)*ret_bytes - 1, name, err)) == 0 &&
	       c != '\n')
		(*ret_bytes)--;
	return rc;
}

static int other_ledger(const struct store *s, const char *key, struct err *err)
{
	err_set(err, ERR_VERIFY, "the mirror's %s is not the beginning of the one in \"%s\"", key, s->path);
	if (strcmp(key, MIRROR_LEDGER) == 0)
		return err_hint(err,
				"When another archive has this prefix, give each its own. When the archive here is new "
				"or an older copy, move \"%s\" out of its root, and `mmretain fetch` brings what the "
				"mirror has. Nothing was deleted.",
				key);
	return err_hint(err, "The case log here was begun anew, or changed. Move it out of the archive root and keep "
			     "it; `mmretain fetch` brings the mirror's. Nothing was deleted.");
}

/* None: 0 bytes. */
static int look_there(struct mirror *m, const char *key, struct mirror_object *ret, struct err *err)
{
	int rc = mirror_look(m, key, ret, err);

	if (rc != -ERR_NOT_FOUND)
		return rc;
	err_clear(err);
	*ret = (struct mirror_object){0};
	return 0;
}

/* fd -1: there is none here. */
static int compare(const struct store *s, const char *key, int fd, uint64_t bytes, const struct mirror_object *there,
		   struct err *err)
{
	struct mirror_object here = {.bytes = there->bytes};
	int rc;

	if (here.bytes > bytes)
		return other_ledger(s, key, err);
	if (here.bytes == 0)
		return 0;
	if ((rc = sum_of(fd, key, &here, err)) < 0)
		return rc;
	return memcmp(&here.sum, &there->sum, sizeof here.sum) != 0 ? other_ledger(s, key, err) : 0;
}

/* act: what the mirror lacks of it is sent.  The mirror is asked first: what a run beside us sends there meanwhile is
 * here before it is there. */
static int one_ledger(struct mirror *m, const struct store *s, const char *key, bool act, struct err *err)
{
	struct mirror_object there, here = {0};
	auto_fd int fd = -1;
	int rc = look_there(m, key, &there, err);

	if (rc < 0)
		return rc;
	rc = file_open_beneath(s->root_dirfd, key, &fd, err);
	if (rc == -ERR_NOT_FOUND || (rc < 0 && err->sys_errno == ENOENT)) {
		err_clear(err);
		rc = 0;
	}
	if (rc < 0 || (fd >= 0 && (rc = whole_lines(fd, key, &here.bytes, err)) < 0) ||
	    (rc = compare(s, key, fd, here.bytes, &there, err)) < 0 || !act || here.bytes == there.bytes)
		return rc;
	rc = sum_of(fd, key, &here, err);
	return rc < 0 ? rc : mirror_put(m, key, fd, &here, err);
}

int mirror_begins(struct mirror *m, const struct store *s, const char *key, struct err *err)
{
	return m ? one_ledger(m, s, key, /* act= */ false, err) : 0;
}

int run_mirror_home(struct mirror *m, const struct store *s, struct err *err)
{
	int rc = mirror_begins(m, s, MIRROR_LEDGER, err);

	return rc < 0 ? rc : mirror_begins(m, s, MIRROR_ACCESS, err);
}

static int put_mark(struct mirror *m, const struct store *s, struct err *err)
{
	struct mirror_object want = {0};
	auto_fd int fd = -1;
	bool sent;
	int rc = file_open_beneath(s->root_dirfd, STORE_MARK, &fd, err);

	if (rc < 0 || (rc = whole_lines(fd, STORE_MARK, &want.bytes, err)) < 0 ||
	    (rc = sum_of(fd, STORE_MARK, &want, err)) < 0)
		return rc;
	return mirror_keep(m, STORE_MARK, fd, &want, &sent, err);
}

int run_mirror_ledger(struct mirror *m, const struct store *s, struct err *err)
{
	int rc;

	if (!m)
		return 0;
	if ((rc = one_ledger(m, s, MIRROR_LEDGER, true, err)) < 0 || (rc = put_mark(m, s, err)) < 0)
		return rc;
	return one_ledger(m, s, MIRROR_ACCESS, true, err);
}

/* ---- bundles ---- */

/* A file that has come to harm is not sent. */
static int check_here(int fd, const char *rel_path, const struct mirror_object *want, struct err *err)
{
	struct mirror_object here = {.bytes = want->bytes};
	int rc = sum_of(fd, rel_path, &here, err);

	if (rc < 0 || memcmp(&here.sum, &want->sum, sizeof here.sum) == 0)
		return rc;
	err_set(err, ERR_VERIFY, "\"%s\" is not the file that the ledger names, and is not sent to the mirror",
		rel_path);
	return err_hint(err, "`mmretain verify` tells more. Move it out of the archive and put a sound copy in its "
			     "place.");
}

int mirror_bundle(struct mirror *m, const struct store *s, const char *rel_path, const char *file_hex, struct err *err)
{
	struct mirror_object want;
	auto_fd int fd = -1;
	struct stat st;
	bool sent;
	int rc;

	if (!m)
		return 0;
	if (!hex_decode(file_hex, DIGEST_BYTES, want.sum.b))
		return err_set(err, ERR_VERIFY, "the ledger has no digest of \"%s\"", rel_path);
	if ((rc = file_open_beneath(s->root_dirfd, rel_path, &fd, err)) < 0)
		return err_prefix(err, "\"%s\"", rel_path);
	if (fstat(fd, &st) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot look at \"%s\"", rel_path);
	want.bytes = (uint64_t)st.st_size;
	if ((rc = check_here(fd, rel_path, &want, err)) < 0)
		return rc;
	rc = mirror_keep(m, rel_path, fd, &want, &sent, err);
	if (rc == 0 && sent)
		log_debug("%s is in the mirror", rel_path);
	return rc;
}

static int is_that(void *payload, const char *key, uint64_t bytes, struct err *err)
{
	(void)bytes;
	(void)err;
	return strcmp(key, payload) == 0;
}

int mirror_has_bundle(struct mirror *m, const struct ledger_published *p, struct err *err)
{
	struct mirror_object there;
	char hex[DIGEST_HEX + 1];
	int rc = m ? mirror_look(m, p->rel_path, &there, err) : -ERR_NOT_FOUND;

	if (rc == -ERR_NOT_FOUND) {
		err_clear(err);
		/* Of one object a store says the same where there is no such bucket.  The list tells; what is in it is
		 * in doubt a copy. */
		return m ? mirror_each(m, p->rel_path, is_that, p->rel_path, err) : 0;
	}
	if (rc < 0)
		return rc;
	digest_hex(&there.sum, hex);
	return strcmp(hex, p->file_digest) == 0;
}

/* ---- files beside the ledger ---- */

struct side {
	struct mirror *m;
	const struct store *s;
	const struct ledger_archive *archive;
	bool quick;
	struct mirror_list there;
};

/* Only what lies in the folder itself; the ledger has its own way. */
static bool is_side(const char *key)
{
	return !strchr(key + strlen("ledger/"), '/') && strcmp(key, MIRROR_LEDGER) != 0;
}

/* Late rows are in no bundle: a loss here is not to become one there.  They go and change with an erasure or the end of
 * their bundle only. */
static bool may_change(const struct side *d, const char *key)
{
	static const char late[] = "ledger/late-";
	const struct ledger_archive *a = d->archive;

	if (!a || strncmp(key, late, strlen(late)) != 0)
		return true;
	for (size_t i = 0; i < a->n; i++)
		if (strncmp(key + strlen(late), a->bundle[i].rows_digest, 12) == 0)
			return a->bundle[i].n_former > 0 || a->bundle[i].expiry == LEDGER_EXPIRED;
	return false;
}

static void leave(const char *key)
{
	log_warn("the mirror's %s is not here, or another: it stays as it is there. `mmretain fetch` brings back what "
		 "is not here",
		 key);
}

static int put_side(void *payload, const char *rel_path, struct err *err)
{
	struct mirror_object want, there;
	struct side *d = payload;
	const struct mirror_there *listed;
	auto_fd int fd = -1;
	struct stat st;
	int rc;

	if (strcmp(rel_path, MIRROR_LEDGER) == 0)
		return 0;
	if ((rc = file_open_beneath(d->s->root_dirfd, rel_path, &fd, err)) < 0)
		return err_prefix(err, "\"%s\"", rel_path);
	if (fstat(fd, &st) != 0)
		return err_sys(err, ERR_STORE, errno, "cannot look at \"%s\"", rel_path);
	want.bytes = (uint64_t)st.st_size;
	listed = mirror_list_find(&d->there, rel_path);
	if (d->quick && listed && listed->bytes == want.bytes)
		return 0;
	if (listed && listed->bytes > want.bytes && !may_change(d, rel_path)) {
		leave(rel_path);
		return 0;
	}
	if ((rc = sum_of(fd, rel_path, &want, err)) < 0)
		return rc;
	rc = mirror_look(d->m, rel_path, &there, err);
	if (rc == 0 && there.bytes == want.bytes && memcmp(&there.sum, &want.sum, sizeof want.sum) == 0)
		return 0;
	if (rc < 0 && rc != -ERR_NOT_FOUND)
		return rc;
	err_clear(err);
	return mirror_put(d->m, rel_path, fd, &want, err);
}

int mirror_side(struct mirror *m, const struct store *s, const char *begin, const struct ledger_archive *archive,
		bool quick, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "side");
	struct side d = {.m = m, .s = s, .archive = archive, .quick = quick};
	int rc;

	if (!m)
		return 0;
	if ((rc = mirror_list(ctx, m, mem_printf(ctx, "ledger/%s", begin), &d.there, err)) < 0 ||
	    (rc = store_each_named(s, "ledger", begin, ".jsonl", put_side, &d, err)) < 0)
		return rc;
	for (size_t i = 0; i < d.there.n && rc == 0; i++) {
		const char *key = d.there.at[i].key;

		if (!is_side(key) || mirror_is_here(s, key))
			continue;
		if (may_change(&d, key))
			rc = mirror_remove(m, key, err);
		else
			leave(key);
	}
	return rc;
}

/* ---- what erases and expires ---- */

/* As long as the older file is here, the next call comes here again: a crash before, between or after costs no more
 * than asking anew. */
int mirror_replace(struct mirror *m, const struct store *s, const char *old_rel_path, const char *rel_path,
		   const char *file_hex, const char *rows_hex, struct err *err)
{
	auto_mem char *late = mem_printf(NULL, "late-%.12s-", rows_hex);
	int rc;

	if (!m)
		return 0;
	if ((rc = mirror_bundle(m, s, rel_path, file_hex, err)) < 0 ||
	    (rc = mirror_side(m, s, late, NULL, false, err)) < 0 || (rc = run_mirror_ledger(m, s, err)) < 0)
		return rc;
	return mirror_remove(m, old_rel_path, err);
}

static int drop_side(void *payload, const char *key, uint64_t bytes, struct err *err)
{
	(void)bytes;
	return mirror_remove(payload, key, err);
}

/* As long as no line says `expired`, the next call comes here again. */
int mirror_drop(struct mirror *m, const struct ledger_published *p, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "drop");
	int rc;

	if (!m)
		return 0;
	rc = mirror_remove(m, p->rel_path, err);
	for (size_t i = 0; i < p->n_former && rc == 0; i++)
		rc = mirror_remove(m, p->former[i], err);
	if (rc < 0 || strlen(p->rows_digest) < 12)
		return rc;
	if ((rc = mirror_each(m, mem_printf(ctx, "ledger/late-%.12s-", p->rows_digest), drop_side, m, err)) < 0)
		return rc;
	return mirror_remove(m, mem_printf(ctx, "ledger/lost-%.12s.jsonl", p->rows_digest), err);
}

void mirror_tell(const struct mirror *m)
{
	if (m && mirror_keeps_versions(m))
		log_warn("the mirror's bucket keeps versions: what `erase` and `expire` remove stays there as an older "
			 "version, with personal data in it, until the bucket's lifecycle removes it (operating.md in "
			 "share/doc/mmretain)");
}

int mirror_end(struct mirror *m, const struct store *s, int rc, struct err *err)
{
	struct err own = {0};
	int end;

	if (!m || stop_requested())
		return rc; /* the next run sends it */
	mirror_tell(m);
	end = run_mirror_ledger(m, s, rc < 0 ? &own : err);
	if (rc < 0 && end < 0)
		log_warn("the mirror has an older ledger (%s); the next run sends this one", own.msg);
	return rc < 0 ? rc : end;
}
