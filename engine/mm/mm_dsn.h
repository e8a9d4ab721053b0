/*
 * mm_dsn.h - a connection text that has been taken apart (mm_dsn.c reads, mm_dsn_keys.c knows the keys and writes).
 */
#ifndef MMRETAIN_MM_DSN_H
#define MMRETAIN_MM_DSN_H

#include "mm_internal.h"

enum { MM_DSN_MAX = 64 << 10, MM_DSN_KEYS = 48 };

struct mm_dsn {
	void *ctx;
	enum mm_dsn_dialect dialect;
	const char *key[MM_DSN_KEYS], *value[MM_DSN_KEYS];
	size_t n;
	struct buf runtime;    /* -c key=value ... out of run-time settings */
	bool has_runtime;
};

/* Set without questions: the parts of a URL. */
void mm_dsn_set(struct mm_dsn *d, const char *key, const char *value);
/* A named setting: kept, dropped, turned into a run-time setting, or refused. */
int mm_dsn_add(struct mm_dsn *d, const char *key, const char *value, struct err *err) MMR_CHECKED;
/* Defaults of the dialect. */
int mm_dsn_finish(struct mm_dsn *d, struct err *err) MMR_CHECKED;
char *mm_dsn_text(const struct mm_dsn *d, void *ctx);
int mm_dsn_bad(struct err *err, const char *what);

#endif
