/* run_held.h - holds on threads of bundles, for expiry and erasing (run_held.c). */
#ifndef RUN_HELD_H
#define RUN_HELD_H

#include <mmretain/ledger.h>
#include <mmretain/mm.h>
#include <mmretain/policy.h>
#include <mmretain/run.h>

/* What the database says now: whom and what the names in holds mean, and the plugin's records.  policy NULL: it has
 * none; mm NULL: the database is not asked, names in bundles decide.  Both are used as long as the answer is (parent
 * ctx).  ERR_DATABASE; ERR_HOLD: a record of the plugin cannot be read. */
struct held_asked;
int held_ask(void *ctx, const struct policy *policy, struct mm *mm, struct held_asked **ret,
	     struct err *err) MMR_CHECKED;
/* False: nobody holds anything at all. */
bool held_any(const struct held_asked *a, const struct ledger_state *st);
/* The hold that names this person, by id or by any of the names, for people; or NULL. */
char *held_person(void *ctx, const struct held_asked *a, const char *user, const char *const *name, size_t n);

/* One bundle's people, channels and teams under these holds, by its names and those of now.  Parent ctx.  ERR_VERIFY:
 * it cannot be read. */
struct held_bundle;
int held_bundle(void *ctx, const struct held_asked *a, const struct ledger_state *st, struct bundle_reader *r,
		struct held_bundle **ret, struct err *err) MMR_CHECKED;
/* False: no hold can cover any thread of it, and no row has to be asked. */
bool held_possible(const struct held_bundle *b);

/* Every id that has rows or a name in the bundle, for those who ask who is in there; some come twice. */
typedef void (*held_id_fn)(void *payload, const char *id, const char *name);
int held_each_person(void *ctx, struct bundle_reader *r, held_id_fn fn, void *payload, struct err *err) MMR_CHECKED;

/* A post, as its row says it; of an erased one what is left.  at_ms 0: unknown, which is in every window. */
struct held_post {
	const char *id, *root, *original, *channel, *user;
	size_t id_len, root_len, original_len, channel_len, user_len;
	int64_t at_ms;
};
/* Why a thread is held: for people; "case 17/26" (by_ledger), "hold court", "the legal-hold plugin".  Lives as long as
 * the bundle's answer. */
struct held_by { char *name; bool by_ledger; mm_id thread; };
/* 1: its thread is held, or it is covered by itself. */
int held_post(struct held_bundle *b, const struct held_post *post, struct held_by *ret, struct err *err) MMR_CHECKED;

/* The archive belongs to this database, and that is no standby: holds are asked of where the bundles came from.
 * ERR_GUARD, ERR_DATABASE. */
int held_check_home(const struct store *store, const struct mm *mm, struct err *err) MMR_CHECKED;

#endif
