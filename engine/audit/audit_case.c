/*
 * audit_case.c - who read what, and why.
 *
 * A ledger of the same form as the main one, in ledger/access/: a reader takes its lock for milliseconds and never
 * meets the run, which holds the lock of the main ledger for a whole night.
 */
#include "audit_internal.h"

#include <mmretain/ledger.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ACCESS_FOLDER "access"
#define LOCK_TRIES 50
#define LOCK_PAUSE_MS 100

static int access_folder(const struct store *store, bool make, int *ret, struct err *err)
{
	int fd = openat(store->ledger_dirfd, ACCESS_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 && errno == ENOENT && make) {
		int rc = file_make_dirs(store->ledger_dirfd, ACCESS_FOLDER, err);
		if (rc)
			return err_prefix(err, "the case log");
		fd = openat(store->ledger_dirfd, ACCESS_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	}
	if (fd < 0)
		return err_sys(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_STORE, errno, "cannot open the case log");
	*ret = fd;
	return 0;
}

/* Another reader is done in a moment.  Earlier records are checked by verify, not by every reader. */
static int open_patiently(void *ctx, int dirfd, struct ledger **ret, struct err *err)
{
	int rc = ledger_open_end(ctx, dirfd, ret, err);

	for (int i = 0; i < LOCK_TRIES && rc == -ERR_LOCKED; i++) {
		time_sleep_ms(LOCK_PAUSE_MS);
		err_clear(err);
		rc = ledger_open_end(ctx, dirfd, ret, err);
	}
	return rc;
}

static int case_check(const struct audit_access *a, struct err *err)
{
	bool ok = a->case_id && a->case_id[0] && a->reason && a->reason[0];

	if (ok && strlen(a->case_id) <= 200 && strlen(a->reason) <= 2000 &&
	    utf8_valid(a->case_id, strlen(a->case_id)) && utf8_valid(a->reason, strlen(a->reason)))
		return 0;
	err_set(err, ERR_USAGE,
		ok ? "the case or the reason is too long or not UTF-8"
		   : "reading archived content needs a case and a reason");
	return err_hint(err, "Give --case ID and --reason TEXT; both are kept in the case log.");
}

static int not_shown(const struct store *store, int rc, struct err *err)
{
	err_prefix(err, "nothing is shown, the record of this access cannot be written");
	return *err->hint ? rc
			  : err_hint(err,
				     "Make \"%s/ledger/access\" writable for this user, with room on its disk, or read "
				     "a copy of the archive.",
				     store->path);
}

int audit_log(const struct store *store, const struct audit_access *access, struct err *err)
{
	void *tmp auto_mem = mem_context(NULL, "case");
	auto_fd int dirfd = -1;
	struct ledger *ledger;
	struct ledger_entry e;
	int rc = case_check(access, err);

	if (rc)
		return rc;
	if ((rc = access_folder(store, true, &dirfd, err)) < 0 || (rc = open_patiently(tmp, dirfd, &ledger, err)) < 0)
		return not_shown(store, rc, err);
	ledger_begin(&e, tmp, "access");
	ledger_str(&e, "case", access->case_id);
	ledger_str(&e, "reason", access->reason);
	ledger_int(&e, "uid", (int64_t)getuid());
	ledger_str(&e, "command", access->command);
	ledger_str(&e, "subject_sha256", access->subject_sha256 ? access->subject_sha256 : "");
	if (access->thread)
		ledger_str(&e, "thread", access->thread);
	ledger_int(&e, "bundles", (int64_t)access->bundles);
	ledger_int(&e, "threads", (int64_t)access->threads);
	if (access->posts != UINT64_MAX)
		ledger_int(&e, "posts", (int64_t)access->posts);
	rc = ledger_append(ledger, &e, err);
	return rc < 0 ? not_shown(store, rc, err) : 0;
}

struct each { audit_access_fn fn; void *payload; };

static int each_line(void *payload, uint64_t seq, const char *line, size_t len, struct err *err)
{
	const struct each *e = payload;

	(void)seq;
	return e->fn(e->payload, line, len, err);
}

int audit_log_each(const struct store *store, audit_access_fn fn, void *payload, struct err *err)
{
	auto_fd int dirfd = -1;
	struct each e = {fn, payload};
	int rc = access_folder(store, false, &dirfd, err);

	if (rc == -ERR_NOT_FOUND) {
		err_clear(err); /* nobody read anything yet */
		return 0;
	}
	return rc ? rc : ledger_read(dirfd, each_line, &e, err);
}
