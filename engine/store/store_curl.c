/* store_curl.c - find libcurl and the functions that this room calls. */
#include "store_curl.h"

struct libcurl libcurl;

/* Inside this table the names are those of the library, not of the pointers. */
static const struct library_function functions[] = {
#define X(name) {#name, offsetof(struct libcurl, name##_)},
	LIBCURL_FUNCTIONS(X)
#undef X
};

int libcurl_load(struct err *err)
{
	static bool loaded;

	if (loaded)
		return 0;
	if (library_load("libcurl.so.4", functions, ARRAY_LEN(functions), &libcurl, err) < 0) {
		err->code = -ERR_STORE;
		return err_hint(err, "A mirror, and attachments in a bucket, need libcurl; install package libcurl4.");
	}
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, ERR_STORE, "libcurl cannot begin");
	loaded = true;
	return 0;
}
