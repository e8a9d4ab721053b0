/*
 * cli_protocol.h - runs as the ledger tells them, for status and report.
 */
#ifndef CLI_PROTOCOL_H
#define CLI_PROTOCOL_H

#include "cli.h"

struct protocol_query {
	const char *run;     /* only this one; NULL: any */
	size_t newest;       /* keep so many, the newest; 0 = all */
	const char *rule, *team; /* for protocol_restrict; NULL: all */
	bool totals_alone;   /* nothing of each bundle; without it only the newest run has totals */
};

struct protocol_amount { uint64_t threads, parts /* of them */, posts; };
/* Of all bundles of one run. */
struct protocol_sums {
	uint64_t entries, lists;     /* lists: of them, those without an archive */
	uint64_t bundles, bytes;     /* that it published */
	struct protocol_amount archived, deleted;
	uint64_t blobs_unlinked, blobs_shared, blobs_failed, bytes_unlinked;
	uint64_t late_restored, late_removed, found_threads, found_posts;
	bool open;                   /* a transaction of then had not ended */
	json_t *rows;                /* deleted ones by kind */
};

struct protocol_bundles;
struct protocol {
	/* array of documents as in `report --json`, oldest first; `bundles` in them is empty; freed with the context */
	json_t *runs;
	json_t *good;        /* the newest protocol_good among those that `newest` has dropped, or NULL */
	struct protocol_bundles *bundles; /* of the newest of them; none with `totals_alone` */
	struct protocol_sums sums;        /* likewise */
	uint64_t entries;
};

/* entry: fields of `published` or `waived`, and what came after, as in `bundles` of `report --json`; freed when it
 * returns. */
typedef void (*protocol_bundle_fn)(json_t *entry, void *payload);
/* In the order of their first lines.  ERR_INTERRUPTED at a signal. */
int protocol_bundles_each(const struct protocol_bundles *b, protocol_bundle_fn fn, void *payload,
			  struct err *err) MMR_CHECKED;

/* Walks the ledger once.  *ret has cli->ctx for parent. */
int protocol_read(struct cli *cli, const struct protocol_query *q, struct protocol **ret, struct err *err) MMR_CHECKED;
/* Of the newest run only what was done by the rule and to the team of the query: lines of the others go, and the totals
 * are of the rest.  The ledger knows a team by its bundles alone: of what is due and kept it says nothing then.  *found
 * false: the run has nothing of it. */
int protocol_restrict(struct protocol *p, const struct protocol_query *q, bool *found, struct err *err) MMR_CHECKED;
/* mmr1-<team>-<month of expiry>-<number>-<digits>... of that team? */
bool protocol_is_of_team(const char *bundle, const char *team);
/* The holds of a run, [{name, because, threads, in_force, unmatched}]: those that kept threads or have words that
 * matched nothing, as its lines say, and, where the policy is the one of the run, all others (threads: null).  because:
 * as the policy at hand says; null without one, and where it has no such hold.  in_force: it kept threads, or that
 * policy has words of it that matched something.  unmatched: [{of, item, word}], word null without the policy of the
 * run. */
json_t *protocol_holds(const struct cli *cli, const json_t *run);
/* "user tomas.maier, channel 2 of its list": what of a hold of that list matched nothing, by the word where the policy
 * of the run is at hand, else by its place; or "". */
const char *protocol_unmatched(void *ctx, const json_t *hold);
/* Is the policy at hand that of the run? */
bool protocol_same_policy(const struct cli *cli, const json_t *run);

/* It did what there was to do, as far as its time went. */
bool protocol_good(const json_t *run);
/* Reading a document; an absent key counts as 0, "" and NULL. */
uint64_t protocol_int(const json_t *obj, const char *key);
const char *protocol_str(const json_t *obj, const char *key);
bool protocol_bool(const json_t *obj, const char *key);
/* "3 h 12 min", "41.0 s" */
void protocol_took(uint64_t ms, char ret[TIME_TEXT]);
/* "3 h 12 min for replicas, 41.0 s for the server", without what is 0. */
const char *protocol_waited(void *ctx, uint64_t replicas_ms, uint64_t server_ms);
/* {"replicas_ms": ..., "server_ms": ...} */
json_t *protocol_waited_json(uint64_t replicas_ms, uint64_t server_ms);

#endif
