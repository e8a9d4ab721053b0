/* db_libpq.c - find libpq and the functions that this room calls. */
#include "db_libpq.h"

struct libpq libpq;

/* Inside this table the names are those of the library, not of the pointers. */
static const struct library_function functions[] = {
#define X(name) {#name, offsetof(struct libpq, name##_)},
	LIBPQ_FUNCTIONS(X)
#undef X
};

int libpq_load(struct err *err)
{
	static bool loaded;

	if (loaded)
		return 0;
	if (library_load("libpq.so.5", functions, ARRAY_LEN(functions), &libpq, err) < 0) {
		err->code = -ERR_DATABASE;
		return err_hint(err, "Install PostgreSQL's client library, package libpq5.");
	}
	loaded = true;
	return 0;
}
