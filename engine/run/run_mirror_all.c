/* run_mirror_all.c - archive and mirror compared as a whole: what is brought there, and what goes. */
#include "run_internal.h"
#include "run_mirror.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct whole { struct mirror_names named; struct mirror_list there; };

static int collect(void *ctx, struct mirror *m, const struct store *s, struct whole *w, struct ledger_archive **ret,
		   struct err *err)
{
	int rc = ledger_archive(ctx, s->ledger_dirfd, ret, err);

	if (rc < 0)
		return rc;
	mirror_names(ctx, *ret, &w->named);
	return mirror_list(ctx, m, "bundles/", &w->there, err);
}

/* What the archive has, and the ledger says is there, and the mirror lacks; or the mirror has something of another
 * length in its place, which is told. */
static bool is_lacking(const struct store *s, const struct whole *w, const struct ledger_published *p)
{
	const struct mirror_there *there = mirror_list_find(&w->there, p->rel_path);
	struct stat st;

	return p->expiry == LEDGER_THERE && fstatat(s->root_dirfd, p->rel_path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       !(there && there->bytes == (uint64_t)st.st_size);
}

/* A bundle that has come to harm on one side does not keep the others from the mirror; the first one is told. */
static int bring(struct mirror *m, const struct store *s, const struct whole *w, const struct ledger_archive *a,
		 const struct progress *progress, bool *ret_sent, struct err *err)
{
	struct err own = {0};
	int rc = 0, first = 0;

	for (size_t i = 0; i < a->n && (rc == 0 || rc == -ERR_VERIFY); i++) {
		progress_update(progress, "mirror", i, a->n, "bundles");
		rc = 0;
		if (is_lacking(s, w, &a->bundle[i])) {
			rc = mirror_bundle(m, s, a->bundle[i].rel_path, a->bundle[i].file_digest, &own);
			*ret_sent |= rc == 0;
		}
		if (rc < 0 && (first == 0 || rc != -ERR_VERIFY)) {
			first = rc;
			*err = own;
		}
	}
	return first;
}

/* The last copy of everybody else's rows: the older file of an erasure goes when the newer one is there. */
static bool is_replaced(const struct whole *w, const struct mirror_name *n)
{
	return strcmp(n->path, n->p->rel_path) == 0 || n->p->expiry != LEDGER_THERE ||
	       mirror_list_find(&w->there, n->p->rel_path);
}

/* An erasure or an expiry by somebody who did not know of the mirror.  An older file that a hold keeps here is kept
 * there. */
static int drop(struct mirror *m, const struct store *s, const struct whole *w, struct err *err)
{
	uint64_t unknown = 0;
	int rc = 0;

	for (size_t i = 0; i < w->there.n && rc == 0; i++) {
		const struct mirror_name *n = mirror_names_find(&w->named, w->there.at[i].key);

		unknown += !n;
		if (!n || !n->gone || mirror_is_here(s, n->path) || !is_replaced(w, n))
			continue;
		log_info("the mirror still has %s, which the ledger says is gone: removing it", n->path);
		rc = mirror_remove(m, n->path, err);
	}
	if (unknown)
		log_warn("the mirror has %llu object%s under bundles/ that the ledger does not know; `mmretain verify "
			 "--mirror` names %s",
			 (unsigned long long)unknown, unknown == 1 ? "" : "s", unknown == 1 ? "it" : "them");
	return rc;
}

int mirror_rest(struct mirror *m, const struct store *s, const struct progress *progress, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "mirror");
	struct ledger_archive *a;
	struct whole w;
	struct err own = {0};
	bool sent = false;
	int rc, end = 0;

	if (!m)
		return 0;
	if ((rc = collect(ctx, m, s, &w, &a, err)) < 0 ||
	    ((rc = bring(m, s, &w, a, progress, &sent, err)) < 0 && rc != -ERR_VERIFY))
		return rc;
	if (sent) /* what has just come stands for what it replaces */
		end = collect(ctx, m, s, &w, &a, rc < 0 ? &own : err);
	if (end == 0 && (end = drop(m, s, &w, rc < 0 ? &own : err)) == 0)
		end = mirror_side(m, s, "", a, true, rc < 0 ? &own : err);
	return rc < 0 ? rc : end;
}

/* ---- looking ---- */

static void find(struct run_mirror_report *r, const char *rel_path, const char *why)
{
	if (r->n % 64 == 0)
		r->found = mem_grow(r, r->found, struct run_mirror_found, r->n + 64);
	r->found[r->n++] = (struct run_mirror_found){mem_strdup(r, rel_path), why};
}

/* 0 also when it is not sound: that is found. */
static int look_at(struct mirror *m, const struct ledger_published *p, enum run_mirror_depth depth,
		   struct run_mirror_report *r, struct err *err)
{
	struct mirror_object there;
	char hex[DIGEST_HEX + 1];
	int rc = depth == RUN_MIRROR_READ ? mirror_get(m, p->rel_path, -1, &there, err)
					  : mirror_look(m, p->rel_path, &there, err);

	if (rc == -ERR_NOT_FOUND) { /* gone since it was listed */
		err_clear(err);
		r->missing++;
		find(r, p->rel_path, "has no copy");
		return 0;
	}
	if (rc < 0)
		return rc;
	digest_hex(&there.sum, hex);
	if (strcmp(hex, p->file_digest) == 0)
		return 0;
	r->other++;
	find(r, p->rel_path, "the mirror has other bytes than the ledger names");
	return 0;
}

static int look_at_wanted(struct mirror *m, const struct whole *w, const struct ledger_archive *a,
			  enum run_mirror_depth depth, const struct progress *progress, struct run_mirror_report *r,
			  struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < a->n && rc == 0; i++) {
		const struct ledger_published *p = &a->bundle[i];

		if (p->expiry != LEDGER_THERE)
			continue;
		progress_update(progress, "mirror", i, a->n, "bundles");
		r->bundles++;
		if (mirror_list_find(&w->there, p->rel_path))
			rc = depth == RUN_MIRROR_LIST ? 0 : look_at(m, p, depth, r, err);
		else if (!p->loss) {
			r->missing++;
			find(r, p->rel_path, "has no copy");
		}
	}
	return rc;
}

int run_mirror_look(void *ctx, struct mirror *m, const struct store *s, enum run_mirror_depth depth,
		    const struct progress *progress, struct run_mirror_report **ret, struct err *err)
{
	auto_mem void *own = mem_context(NULL, "mirror");
	struct run_mirror_report *r = mem_new(ctx, struct run_mirror_report);
	struct ledger_archive *a;
	struct whole w;
	int rc;

	*ret = r;
	if ((rc = run_mirror_home(m, s, err)) < 0 || (rc = collect(own, m, s, &w, &a, err)) < 0 ||
	    (rc = look_at_wanted(m, &w, a, depth, progress, r, err)) < 0)
		return rc;
	for (size_t i = 0; i < w.there.n; i++) {
		const struct mirror_name *n = mirror_names_find(&w.named, w.there.at[i].key);

		if (!n) {
			r->unknown++;
			find(r, w.there.at[i].key, "the ledger does not know it");
		} else if (n->gone && !mirror_is_here(s, n->path)) {
			r->gone++;
			find(r, w.there.at[i].key, "the ledger says that it is gone; the next run removes it");
		}
	}
	return 0;
}
