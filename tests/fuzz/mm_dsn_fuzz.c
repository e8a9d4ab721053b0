/*
 * mm_dsn_fuzz.c - any text is a data source that libpq reads, or is refused; a refusal never repeats the password.
 *
 * Input: the text.  The password of the seeds is `s3cr3t`; it is looked for in the messages when it stands where a
 * password stands, whatever follows it, and nowhere else.
 */
#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

#include "mm_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECRET "s3cr3t"

static bool has_password(const char *dsn)
{
	const char *at = strstr(dsn, SECRET), *part = NULL;

	if (!at || strstr(at + 1, SECRET))
		return false;
	if (strncmp(dsn, "postgres://", 11) == 0)
		part = dsn + 11;
	else if (strncmp(dsn, "postgresql://", 13) == 0)
		part = dsn + 13;
	if (part)
		return at > part && at[-1] == ':' && strcspn(part, ":/?#@[") == (size_t)(at - 1 - part);
	return strncmp(dsn, "password=", 9) == 0 && (at == dsn + 9 || (at == dsn + 10 && dsn[9] == '\''));
}

static void try(const char *dsn, enum mm_dsn_dialect dialect)
{
	void *ctx = talloc_new(NULL);
	struct err err = {0};
	char *conninfo = NULL, *why = NULL;
	PQconninfoOption *parsed;

	if (mm_dsn_parse(ctx, dsn, dialect, &conninfo, &err) == 0) {
		parsed = PQconninfoParse(conninfo, &why);
		if (!parsed)
			abort();
		PQconninfoFree(parsed);
		PQfreemem(why);
		if (db_conninfo_check(conninfo, &err) != 0 && err.msg[0] == '\0')
			abort();
	} else if (err.msg[0] == '\0' || conninfo) {
		abort();
	}
	if (has_password(dsn) && (strstr(err.msg, SECRET) || strstr(err.hint, SECRET)))
		abort();
	talloc_free(ctx);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *dsn = malloc(size + 1);

	if (!dsn)
		return 0;
	memcpy(dsn, data, size);
	dsn[size] = '\0';
	try(dsn, MM_DSN_LIBPQ);
	try(dsn, MM_DSN_LIB_PQ_GO);
	free(dsn);
	return 0;
}
