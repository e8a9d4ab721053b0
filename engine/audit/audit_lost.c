/* audit_lost.c - bundles that expired or were declared lost; of an id that a lost one held a better answer than that
 * nobody knows it. */
#include "audit_internal.h"

#include <mmretain/ledger.h>

#include <string.h>

/* Whoever finds a copy puts it back: then it answers like any other. */
static bool is_back(const struct audit *a, const struct ledger_published *p)
{
	for (size_t i = 0; i < a->catalog->n_bundles; i++)
		if (strcmp(a->catalog->bundle[i].rel_path, p->rel_path) == 0)
			return true;
	return false;
}

static bool is_lost(const struct audit *a, const struct ledger_published *p)
{
	return p->loss && p->expiry == LEDGER_THERE && !is_back(a, p);
}

static bool is_expired(const struct audit *a, const struct ledger_published *p)
{
	(void)a;
	return p->expiry != LEDGER_THERE;
}

/* A ledger that is damaged: `verify` tells that; here it is only a remark less. */
static uint64_t count(const struct audit *a, bool (*is)(const struct audit *a, const struct ledger_published *p))
{
	auto_mem void *ctx = mem_context(NULL, "published");
	struct ledger_archive *l;
	struct err ignored;
	uint64_t n = 0;

	if (ledger_archive(ctx, a->store->ledger_dirfd, &l, &ignored) < 0)
		return 0;
	for (size_t i = 0; i < l->n; i++)
		n += is(a, &l->bundle[i]);
	return n;
}

uint64_t audit_expired(const struct audit *a)
{
	return count(a, is_expired);
}

uint64_t audit_lost(const struct audit *a)
{
	return count(a, is_lost);
}

static void tell(const struct ledger_published *p, const struct catalog_lost_ids *ids, const char *id, struct err *err)
{
	char at[TIME_TEXT];

	time_format(p->loss->at_ms, at);
	err_set(err, ERR_NOT_FOUND,
		"\"%s\" %s archived in %s, which was declared lost on %s by user %llu on %s, because: %s", id,
		ids->kind == CATALOG_LOST_KEYS ? "was" : "was probably", p->bundle, at,
		(unsigned long long)p->loss->uid, p->loss->host, p->loss->reason);
	err_hint(err, "When a copy of the file turns up, put it back as \"%s\": it answers like any other then.%s",
		 p->rel_path, ids->kind == CATALOG_LOST_KEYS ? "" : " The list of its ids is wrong once in a hundred.");
}

bool audit_lost_tell(const struct audit *a, const char *id, struct err *err)
{
	auto_mem void *ctx = mem_context(NULL, "lost");
	struct ledger_archive *l;
	bool told = false;

	if (ledger_archive(ctx, a->store->ledger_dirfd, &l, err) < 0) {
		err_clear(err);
		return false;
	}
	/* The newest that surely held it, or the newest that probably did. */
	for (size_t i = l->n; i-- > 0;) {
		struct catalog_lost_ids ids;

		if (!is_lost(a, &l->bundle[i]) ||
		    catalog_lost_read(ctx, a->store, l->bundle[i].rows_digest, &ids, err) < 0 ||
		    !catalog_lost_has(&ids, id, strlen(id)) || (told && ids.kind != CATALOG_LOST_KEYS))
			continue;
		tell(&l->bundle[i], &ids, id, err);
		told = true;
		if (ids.kind == CATALOG_LOST_KEYS)
			return true;
	}
	return told;
}
