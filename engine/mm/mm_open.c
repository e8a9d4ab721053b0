/*
 * mm_open.c - the database of one Mattermost server and its folder of attachments.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "mm_internal.h"
#include "mm_sql.h"

/* Long enough for a plan over the largest table; the deleting transactions set their own. */
enum { STATEMENT_TIMEOUT_MS = 60 * 60 * 1000, LOCK_TIMEOUT_MS = 10 * 1000 };

static int mm_destroy(struct mm *mm)
{
	if (mm->data_dirfd >= 0)
		fd_close_p(&mm->data_dirfd);
	return 0;
}

const char *mm_data_advice(const struct mm *mm)
{
	if (mm->config->bucket)
		return "FileSettings.AmazonS3... of the server's configuration, or MM_FILESETTINGS_AMAZONS3..., name "
		       "it and its keys; a rule with `files: keep` lets its threads go and leaves their attachments.";
	if (mm->config->file_driver[0] && strcmp(mm->config->file_driver, "local") != 0)
		return "Only a local folder or a bucket can be read; a rule with `files: keep` lets its threads go and "
		       "leaves their attachments.";
	if (mm->config->data_path)
		return "It is named by database.files of the policy, FileSettings.Directory of the server's "
		       "configuration, or MM_FILESETTINGS_DIRECTORY: mount it, and run as the account that owns it.";
	return "Name the server's config.json or, as database.files, the folder in the policy, or set "
	       "MM_FILESETTINGS_DIRECTORY to the whole path.";
}

/* A folder that cannot be opened is no reason not to plan; whoever needs attachments asks for data_problem. */
static void open_data(struct mm *mm)
{
	struct err err = {.code = 0};
	struct stat st;
	bool local = strcmp(mm->config->file_driver, "local") == 0;

	if (mm->config->bucket) {
		mm_bucket_begin(mm);
		return;
	}
	if (!local || !mm->config->data_path) {
		mm->data_problem = mm->config->file_driver[0] && !local
					   ? mem_printf(mm,
							"the attachments are with file driver \"%s\", not in a local "
							"folder or a bucket",
							mm->config->file_driver)
					   : mem_strdup(mm, "no attachment folder is configured");
		return;
	}
	if (file_open_dir(mm->config->data_path, &mm->data_dirfd, &err) == 0)
		return;
	mm->data_denied = err.sys_errno == EACCES || err.sys_errno == EPERM;
	mm->data_problem = mem_printf(mm, "attachment folder: %s", err.msg);
	if (err.sys_errno == EACCES && stat(mm->config->data_path, &st) == 0)
		mm->data_problem = mem_printf(mm, "%s; it belongs to user %u", mm->data_problem, (unsigned)st.st_uid);
}

static int learn_now(struct mm *mm, struct err *err)
{
	struct db_result *res auto_mem = NULL;
	int r = db_query(NULL, mm->db, &sql_probe_clock, DB_ONE, 0, NULL, &res, err);

	if (r < 0)
		return r;
	mm->clock_ms = db_i64(res, 0, 0);
	mm->clock_boot_ms = time_boot_ms();
	mm->now_ms = time_is_overridden() ? time_now_ms() : mm->clock_ms;
	return 0;
}

int mm_open(void *ctx, const struct mm_source *source, struct mm **ret, struct err *err)
{
	struct db_options options = {.statement_timeout_ms = STATEMENT_TIMEOUT_MS, .lock_timeout_ms = LOCK_TIMEOUT_MS};
	struct mm *mm = mem_new(ctx, struct mm);
	int r;

	mm->data_dirfd = -1;
	talloc_set_destructor(mm, mm_destroy);
	r = mm_config_read(mm, source, &mm->config, err);
	if (r == 0) {
		options.conninfo = mm->config->conninfo;
		r = db_open(mm, &options, &mm->db, err);
	}
	if (r == 0)
		r = learn_now(mm, err);
	if (r < 0) {
		talloc_free(mm);
		return r;
	}
	open_data(mm);
	*ret = mm;
	return 0;
}
