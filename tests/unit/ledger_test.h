/* ledger_test.h - a ledger in a folder of its own, for the files of this suite. */
#ifndef LEDGER_TEST_H
#define LEDGER_TEST_H

#include <check.h>

#include <mmretain/ledger.h>

extern void *ctx;
extern int dirfd_test;
struct ledger *must_open(void);
/* type, then key and value pairs up to NULL. */
void put(struct ledger *l, const char *type, const char *const *pair);
#define PUT(l, type, ...) put(l, type, (const char *const[]){__VA_ARGS__, NULL, NULL})
/* A field that is 0 is left out, as by versions that did not know it. */
void put_sweep(struct ledger *l, const char *run, const char *bundle, const char *field, int64_t value);
struct ledger_state *fold(void);

TCase *archive_tests(void);
TCase *fold_tests(void);
TCase *hold_tests(void);
TCase *late_tests(void);
TCase *purged_tests(void);

#endif
