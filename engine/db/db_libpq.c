/* db_libpq.c - find libpq and the functions that this room calls. */
#include "db_libpq.h"

#include <dlfcn.h>
#include <string.h>

#define LIBPQ_SONAME "libpq.so.5"

struct libpq libpq;

/* Plain strings: inside this file the names stand for the loaded functions. */
static const struct { const char *name; size_t at; } functions[] = {
#define X(name) {#name, offsetof(struct libpq, name##_)},
	LIBPQ_FUNCTIONS(X)
#undef X
};

static int cannot_load(const char *why, struct err *err)
{
	err_set(err, ERR_DATABASE, "cannot load PostgreSQL's client library: %s", why ? why : LIBPQ_SONAME);
	return err_hint(err, "Install the package libpq5.");
}

int libpq_load(struct err *err)
{
	static bool loaded;
	void *handle;

	if (loaded)
		return 0;
	handle = dlopen(LIBPQ_SONAME, RTLD_NOW | RTLD_LOCAL); /* for the life of the process */
	if (!handle)
		return cannot_load(dlerror(), err);
	for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
		void *function = dlsym(handle, functions[i].name);

		if (!function)
			return cannot_load(dlerror(), err);
		memcpy((char *)&libpq + functions[i].at, &function, sizeof(function));
	}
	loaded = true;
	return 0;
}
