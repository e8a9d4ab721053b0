/* audit_missing.c - bundles that the ledger says are there and that are not: what they hold is in no answer, and every
 * answer must say so. */
#include "audit_internal.h"

#include <mmretain/ledger.h>

#include <stdlib.h>
#include <string.h>

struct missing { const struct ledger_published *p; struct catalog_absent *known; bool told; };

static bool is_missing(const struct store *store, const struct ledger_published *p)
{
	return p->expiry == LEDGER_THERE && !p->loss && !store_has_file(store, p->rel_path);
}

static size_t keep_missing(const struct store *store, struct ledger_archive *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		if (is_missing(store, &l->bundle[i]))
			l->bundle[n++] = l->bundle[i];
	return n;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct ledger_published *)a)->rel_path, ((const struct ledger_published *)b)->rel_path);
}

/* A reader has no lock: what was removed before the second reading of the ledger has a line there that says so, what
 * goes after it was no missing one before. */
static int missing_of(void *ctx, const struct store *store, struct ledger_archive **ret, struct err *err)
{
	struct ledger_archive *before;
	int rc = ledger_archive(ctx, store->ledger_dirfd, &before, err);
	size_t all = rc < 0 ? 0 : before->n, n = rc < 0 ? 0 : keep_missing(store, before), kept = 0;

	if (rc < 0 || n == 0) {
		*ret = rc < 0 ? NULL : before;
		return rc < 0 ? rc : all > 0;
	}
	if ((rc = ledger_archive(ctx, store->ledger_dirfd, ret, err)) < 0)
		return rc;
	qsort(before->bundle, n, sizeof *before->bundle, by_path);
	for (size_t i = 0; i < (*ret)->n; i++)
		if (is_missing(store, &(*ret)->bundle[i]) &&
		    bsearch(&(*ret)->bundle[i], before->bundle, n, sizeof *before->bundle, by_path))
			(*ret)->bundle[kept++] = (*ret)->bundle[i];
	(*ret)->n = kept;
	return 2;
}

int audit_missing(void *ctx, const struct store *store, const struct ledger_published **ret, size_t *ret_n,
		  struct err *err)
{
	struct ledger_archive *l;
	int rc = missing_of(ctx, store, &l, err);

	if (rc < 0)
		return rc;
	*ret = l->bundle;
	*ret_n = rc == 2 ? l->n : 0;
	return rc > 0;
}

/* An archive without a ledger: only the catalog can tell that there was more. */
static void tell_gone(const struct catalog *c)
{
	uint64_t n = catalog_gone(c);

	if (n)
		log_warn("%llu bundle%s that the catalog lists %s not in the archive: nothing is found in %s; "
			 "`mmretain verify` tells what has expired from what is missing",
			 (unsigned long long)n, n == 1 ? "" : "s", n == 1 ? "is" : "are", n == 1 ? "it" : "them");
}

void missing_look(struct audit *a)
{
	const struct ledger_published *list;
	struct err err = {0};
	int rc = audit_missing(a, a->store, &list, &a->n_missing, &err);

	if (rc < 0)
		a->missing_unknown = mem_strdup(a, err.msg);
	if (rc <= 0)
		tell_gone(a->catalog);
	a->missing = mem_array(a, struct missing, a->n_missing + 1);
	for (size_t i = 0; i < a->n_missing; i++)
		a->missing[i] = (struct missing){.p = &list[i],
						 .known = catalog_absent_new(a, a->catalog, list[i].rel_path,
									     list[i].rows_digest, list[i].file_bytes)};
}

const char *audit_missing_unknown(const struct audit *a)
{
	return a->missing_unknown;
}

/* As bundle_passed. */
static int passed(struct audit *a, struct missing *m, struct err *err)
{
	if (!a->pass_over) {
		err_set(err, ERR_VERIFY, "bundle \"%s\" is missing, and what was asked for may be in it",
			m->p->rel_path);
		return err_hint(err, "%s `find` and `show` answer from the others.", AUDIT_MISSING_HINT);
	}
	if (!m->told) {
		log_warn("bundle \"%s\" is missing; it is passed over", m->p->rel_path);
		a->stats.bundles_unreadable++;
		a->stats.bundles_missing++;
	}
	m->told = true;
	return 0;
}

static uint32_t seq_of(const char *rel_path)
{
	const char *slash = strrchr(rel_path, '/');

	return slash ? store_seq_of(slash + 1) : 0;
}

int missing_id(struct audit *a, const char *id, const char *newer_than, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < a->n_missing && !rc; i++) {
		struct missing *m = &a->missing[i];
		if ((!newer_than || seq_of(m->p->rel_path) > seq_of(newer_than)) &&
		    catalog_absent_may_hold(m->known, id))
			rc = passed(a, m, err);
	}
	return rc;
}

int missing_question(struct audit *a, const struct catalog_query *q, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < a->n_missing && !rc; i++)
		if (catalog_absent_may_answer(a->missing[i].known, q))
			rc = passed(a, &a->missing[i], err);
	return rc;
}
