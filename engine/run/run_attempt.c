/*
 * run_attempt.c - a run that ended before its first line in the ledger leaves one file, for status.
 *
 * No line of the ledger: whoever writes one must hold the lock, and that may be what the run did not get.  Nothing
 * depends on it, so it waits for nobody, touches no other file, and its own failure is no error.  `plan`, `check` and
 * `run -n` never come here.
 */
#include "run_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <jansson.h>

#define ATTEMPT_FILE "attempt.json"
#define ATTEMPT_PATH "ledger/" ATTEMPT_FILE
#define ATTEMPT_MAX ((size_t)16 << 10)

/* What a server or the system says may be in another encoding; JSON must not be. */
static void put_message(struct buf *b, const char *msg)
{
	bool valid = utf8_valid(msg, strlen(msg));
	auto_mem char *text = mem_strdup(NULL, msg);

	for (char *p = text; *p && !valid; p++)
		*p = (unsigned char)*p < 0x80 ? *p : '?';
	json_put_string(b, text, strlen(text));
}

static void put_attempt(struct buf *b, int code, const struct err *problem)
{
	char at[TIME_TEXT];

	time_format(time_now_ms() / 1000 * 1000, at);
	buf_printf(b, "{\"attempt\":1,\"at\":\"%s\",\"exit\":%d,\"error\":\"%s\",\"trigger\":\"%s\",\"message\":", at,
		   run_exit_status(code), err_name(code), run_trigger());
	put_message(b, problem->msg);
	buf_puts(b, "}\n");
}

void run_attempt_note(const char *store_path, int code, const struct err *problem)
{
	auto_mem void *ctx = mem_context(NULL, "attempt");
	struct store *store = NULL;
	struct err err = {0};
	struct buf b;
	int rc = store_open(ctx, store_path, /* writable= */ false, &store, &err);

	if (rc == 0) {
		/* Two would share a work name; what the other one says serves.  Where folders cannot be locked the
		 * worst is a file that cannot be read. */
		if (flock(store->ledger_dirfd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
			return;
		buf_init(&b, ctx, ATTEMPT_MAX);
		put_attempt(&b, code, problem);
		rc = file_replace(store->ledger_dirfd, ATTEMPT_FILE, b.data, b.len, 0640, &err);
	}
	if (rc < 0)
		log_debug("that this run did not begin is not noted in the archive: %s", err.msg);
}

/* No fsync is owed to it: one that a power cut brings back goes with the next run. */
void run_attempt_clear(const struct store *store)
{
	struct err err = {0};
	struct stat st;
	bool was;

	if (fstatat(store->ledger_dirfd, ATTEMPT_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    store_remove(store, ATTEMPT_PATH, NULL, &was, &err) < 0)
		log_warn("%s: `mmretain status` goes on to tell of it", err.msg);
}

/* Of those that this run itself kept from beginning. */
void run_attempt_clear_locked(const struct store *store)
{
	auto_mem void *ctx = mem_context(NULL, "attempt");
	struct run_attempt *a = NULL;
	struct err err = {0};

	if (run_attempt_read(ctx, store, &a, &err) == 0 && a && strcmp(a->error, err_name(-ERR_LOCKED)) == 0)
		run_attempt_clear(store);
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

int run_attempt_read(void *ctx, const struct store *store, struct run_attempt **ret, struct err *err)
{
	auto_mem void *tmp = mem_context(ctx, "attempt");
	struct run_attempt *a;
	size_t len = 0;
	bool sound;
	char *text;
	json_t *o;
	int rc = file_read(tmp, store->ledger_dirfd, ATTEMPT_FILE, ATTEMPT_MAX, &text, &len, err);

	*ret = NULL;
	if (rc == -ERR_NOT_FOUND) {
		err_clear(err);
		return 0;
	}
	if (rc < 0)
		return rc;
	o = json_loadb(text, len, 0, NULL);
	a = mem_new(ctx, struct run_attempt);
	*a = (struct run_attempt){.exit = (int)json_integer_value(json_object_get(o, "exit")),
				  .error = mem_strdup(a, text_of(o, "error")),
				  .trigger = mem_strdup(a, text_of(o, "trigger")),
				  .message = mem_strdup(a, text_of(o, "message"))};
	sound = time_parse(text_of(o, "at"), &a->at_ms) && a->exit > 0;
	json_decref(o);
	if (!sound)
		return err_set(err, ERR_STORE, "\"" ATTEMPT_PATH "\" is damaged");
	*ret = a;
	return 0;
}
