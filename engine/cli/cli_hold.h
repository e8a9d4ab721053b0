/* cli_hold.h - what the parts of `hold` share, and which thread an id that is to be held belongs to. */
#ifndef CLI_HOLD_H
#define CLI_HOLD_H

#include <mmretain/mm.h>

#include "cli.h"

enum cli_hold_found { HOLD_NOT_LOOKED /* held by this very id */, HOLD_IN_DATABASE, HOLD_IN_ARCHIVE, HOLD_UNCHECKED };

struct cli_hold_id {
	mm_id asked;                /* of any post of the thread; in the archive of a file too */
	mm_id root;                 /* the thread, as a hold names it */
	enum cli_hold_found found;
};

/* Fills root and found of each.  Asks the database first, then the bundles; the archive is open.  With --unchecked an
 * id that neither knows stays as it is.  ERR_NOT_FOUND when one is known to neither; the error of the database when it
 * could not be asked and no bundle has the id. */
int cli_hold_resolve(struct cli *cli, struct cli_hold_id *id, size_t n, struct err *err) MMR_CHECKED;
/* The same for what is to be released: an id that neither is known to have stays as it is. */
int cli_hold_resolve_known(struct cli *cli, struct cli_hold_id *id, size_t n, struct err *err) MMR_CHECKED;
const char *cli_hold_found_word(enum cli_hold_found found); /* "database", "archive", NULL */

struct hold {
	struct cli *cli;
	struct ledger *ledger;       /* NULL: only looked at */
	bool dry;                    /* say what would be done */
	struct ledger_state *state;
	/* the operands, sorted, each once; of `add` and `release` the threads that they belong to */
	mm_id *id; size_t n;
	struct cli_hold_id *named; size_t n_named; /* of `add` and `release`: the operands */
	const char *case_id;         /* NULL: of `list`, all */
};

/* ---- cli_hold_list.c ---- */
bool hold_is_shown(const struct hold *h, const struct ledger_held_by *b);
int hold_list(struct hold *h, struct err *err) MMR_CHECKED;
int hold_history(struct hold *h, struct err *err) MMR_CHECKED;

#endif
