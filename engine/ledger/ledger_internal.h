/*
 * ledger_internal.h - what the files of this room share.
 */
#ifndef LEDGER_INTERNAL_H
#define LEDGER_INTERNAL_H

#include <mmretain/ledger.h>

/* `,"hash":"` + 64 digits + `"}` */
#define LEDGER_HASH_KEY ",\"hash\":\""
#define LEDGER_SEAL (sizeof(LEDGER_HASH_KEY) - 1 + DIGEST_HEX + 2)

/* Where a walk ended. */
struct ledger_end {
	uint64_t entries;           /* whole records, = seq of the last one */
	off_t bytes;                /* offset behind the last whole record */
	char hash[DIGEST_HEX + 1];  /* of the last one; zeros when there is none */
	size_t tail_bytes;          /* behind it, without a newline: a torn record ... */
	bool tail_whole;            /* ... or one that lacks only its newline (padding counted in tail_bytes) */
	size_t tail_record_bytes;   /* its length then, without padding */
};

/* Verifies every line of fd, calls fn (may be NULL), and says where the whole records end. */
int ledger_walk(int fd, ledger_fn fn, void *payload, struct ledger_end *ret, struct err *err) MMR_CHECKED;

/* The same of the last record alone: 1, or 0 when only a walk can tell (short, torn, damaged), or a negative code. */
int ledger_last(int fd, struct ledger_end *ret, struct err *err) MMR_CHECKED;

/* ---- fields of a line that a walk has seen to be JSON (ledger_archive.c) ---- */
struct ledger_slot { const char *key; char **slot; };
bool ledger_key_is(const struct json_scan *s, const char *key);
/* The string under the cursor, unescaped, into the slot of its key, in ctx; no slot has it: nothing. */
void ledger_take_text(void *ctx, const struct json_scan *s, const struct ledger_slot *slots, size_t n);

/* ---- ledger_erase.c ---- */
/* A line `erasing`, `erased` or `erasure-withdrawn` into st->erasing. */
enum ledger_erasure_step { ERASURE_BEGINS, ERASURE_DONE, ERASURE_WITHDRAWN };
void ledger_erasure_take(struct ledger_state *st, const char *line, size_t len, enum ledger_erasure_step step);
void ledger_erasure_forget(struct ledger_state *st, const char *bundle); /* it is gone, with everybody in it */

/* ---- ledger_hold.c: the lines `hold` and `release` of the whole ledger ---- */
struct ledger_holds;
struct ledger_holds *ledger_holds_new(void *ctx);
/* roots: the raw list of one line; at, case_id, via: its fields, or NULL. */
void ledger_holds_add(struct ledger_holds *h, const char *roots, const char *at, const char *case_id, const char *via);
/* case_id NULL: of all cases, as a `release` did that has no uid. */
void ledger_holds_end(struct ledger_holds *h, const char *roots, const char *case_id);
/* Fills held, hold and n_held of st; texts stay with h. */
void ledger_holds_fold(struct ledger_holds *h, struct ledger_state *st);

#endif
