/*
 * store_curl.h - libcurl, loaded when a mirror is opened.
 *
 * It brings some thirty libraries along; whoever has no mirror starts without them, and needs none of them.  The
 * prototypes are libcurl's own; a function that is used and not listed here fails at link time.
 */
#ifndef STORE_CURL_H
#define STORE_CURL_H

#define CURL_DISABLE_TYPECHECK /* its macros would hide the functions */
#include <curl/curl.h>
#include <mmretain/base.h>

#undef curl_easy_setopt
#undef curl_easy_getinfo

#define LIBCURL_FUNCTIONS(X)                                                                                           \
	X(curl_global_init)                                                                                            \
	X(curl_easy_init) X(curl_easy_cleanup) X(curl_easy_reset) X(curl_easy_setopt) X(curl_easy_getinfo)             \
		X(curl_easy_perform) X(curl_easy_strerror) X(curl_slist_append) X(curl_slist_free_all) X(curl_getdate)

struct libcurl {
#define X(name) __typeof__(name) *name##_;
	LIBCURL_FUNCTIONS(X)
#undef X
};
extern struct libcurl libcurl;
/* Once per process; before any of the functions below. */
int libcurl_load(struct err *err) MMR_CHECKED;

#define curl_global_init libcurl.curl_global_init_
#define curl_easy_init libcurl.curl_easy_init_
#define curl_easy_cleanup libcurl.curl_easy_cleanup_
#define curl_easy_reset libcurl.curl_easy_reset_
#define curl_easy_setopt libcurl.curl_easy_setopt_
#define curl_easy_getinfo libcurl.curl_easy_getinfo_
#define curl_easy_perform libcurl.curl_easy_perform_
#define curl_easy_strerror libcurl.curl_easy_strerror_
#define curl_slist_append libcurl.curl_slist_append_
#define curl_slist_free_all libcurl.curl_slist_free_all_
#define curl_getdate libcurl.curl_getdate_

#endif
