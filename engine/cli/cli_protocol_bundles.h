/* cli_protocol_bundles.h - what the lines of one run say of each of its bundles; for cli_protocol.c. */
#ifndef CLI_PROTOCOL_BUNDLES_H
#define CLI_PROTOCOL_BUNDLES_H

#include "cli_protocol.h"

struct protocol_bundles *protocol_bundles_new(void *ctx);
/* A line of the run.  rule, parts: of the bundle as known now; rule "": not known.  Takes fields over. */
void protocol_bundles_take(struct protocol_bundles *b, const char *bundle, const char *rule, bool parts,
			   const char *type, json_t *fields);
/* A line of whichever run or none, of a bundle that the run names; of others nothing is kept.  Takes fields over. */
void protocol_bundles_note(struct protocol_bundles *b, const char *bundle, const char *type, json_t *fields);
/* Leaves those of the rule and the team (NULL: all).  False: none. */
bool protocol_bundles_keep(struct protocol_bundles *b, const char *rule, const char *team);
/* Reads ret->rows alone, an object that is filled anew. */
int protocol_bundles_sum(const struct protocol_bundles *b, struct protocol_sums *ret, struct err *err) MMR_CHECKED;
/* line: of `published`, `purged` or `purge-stopped`. */
void protocol_amount_add(struct protocol_amount *to, const json_t *line, bool parts);

#endif
