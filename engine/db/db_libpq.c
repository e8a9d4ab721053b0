/* db_libpq.c - find libpq and the functions that this room calls. */
#include "db_libpq.h"

struct libpq libpq;

/* Of the OpenSSL that libpq brings along; a libpq without it knows no TLS. */
static struct { int (*pending)(const void *ssl); } tls;
static const struct library_function tls_functions[] = {{"SSL_pending", 0}};

/* Inside this table the names are those of the library, not of the pointers. */
static const struct library_function functions[] = {
#define X(name) {#name, offsetof(struct libpq, name##_)},
	LIBPQ_FUNCTIONS(X)
#undef X
};

int libpq_load(struct err *err)
{
	static bool loaded;
	struct err ignored;

	if (loaded)
		return 0;
	if (library_load("libpq.so.5", functions, ARRAY_LEN(functions), &libpq, err) < 0) {
		err->code = -ERR_DATABASE;
		return err_hint(err, "Install PostgreSQL's client library, package libpq5.");
	}
	if (library_load("libpq.so.5", tls_functions, ARRAY_LEN(tls_functions), &tls, &ignored) < 0)
		log_debug("%s, ignoring: TLS by another library than OpenSSL is a little slower", ignored.msg);
	loaded = true;
	return 0;
}

int libpq_tls_pending(PGconn *pg)
{
	const void *ssl = tls.pending ? PQsslStruct(pg, "OpenSSL") : NULL;

	return ssl ? tls.pending(ssl) : 0;
}
