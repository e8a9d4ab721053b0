/*
 * cli_verify.h - what verify has found of each bundle, and how it is told.
 */
#ifndef MMRETAIN_CLI_VERIFY_H
#define MMRETAIN_CLI_VERIFY_H

#include <mmretain/catalog.h>

#include "cli.h"

struct verify_sum {
	uint64_t threads, posts, rows, blobs, erased;
	uint32_t generation;
	struct digest rows_digest, file_digest;
};

struct verify_entry {        /* a bundle, as the ledger, the folder or both know it */
	char *rel_path;
	bool in_ledger, on_disk, wanted;
	bool announced, expired; /* the ledger says that it is about to go, or gone */
	bool replaced;           /* the ledger says that a later generation took its place */
	char *lost;              /* when it was declared lost, and why; NULL: it was not */
	bool erasing;            /* a later generation that no line says yet to be in its place */
	bool beside;             /* an older generation that is still there */
	struct digest rows_digest, file_digest; /* of the ledger */
	uint64_t size_bytes;
	bool ok;
	struct verify_sum sum;
	char *damage;
};

struct verify {
	struct cli *cli;
	struct known *table;  /* entries by their rel_path, while they are collected */
	struct verify_entry *entry;
	size_t n, room;
	struct err ledger;    /* what is wrong with it; code 0: nothing */
	struct err access;    /* what is wrong with the case log */
	struct catalog_check index;
	bool index_known;
	uint64_t access_entries;
	char **left; size_t n_left;   /* older generations that are still there */
	uint64_t ledger_entries, published, missing, unknown, damaged, checked, expired;
	struct cli_loss *lost; size_t n_lost; /* declared so, and not back */
	struct run_mirror_report *mirror;     /* NULL: not asked for */
};

/* Not one of the bundles that the ledger says are there. */
static inline bool verify_foreign(const struct verify_entry *e)
{
	return !e->in_ledger || e->expired || e->replaced;
}

int cli_verify_json(const struct verify *v, bool ok, struct err *err) MMR_CHECKED;
int cli_verify_text(const struct verify *v, struct err *err) MMR_CHECKED;

#endif
