/*
 * cli_files.c - the attachment folder, as doctor sees it: could a run read what it archives, and remove what it
 * deleted?
 */
#include <errno.h>
#include <pwd.h>
#include <string.h>

#include <mmretain/mm.h>
#include <mmretain/policy.h>

#include "cli_files.h"

/* With `files: keep` alone nothing is read and nothing removed. */
static bool wants_files(const struct policy *policy)
{
	for (size_t i = 0; i < policy->n_rules; i++)
		if (policy->rule[i].files != FILES_KEEP)
			return true;
	return false;
}

static const char *account(void *ctx, uid_t uid)
{
	const struct passwd *p = getpwuid(uid);

	return p ? mem_strdup(ctx, p->pw_name) : mem_printf(ctx, "user %u", (unsigned)uid);
}

static const char *refusal_hint(void *ctx, const struct mm_files_refusal *r)
{
	if (r->sys_errno == EROFS)
		return "Mount its file system for writing; in a unit, `ReadWritePaths=` names the folder.";
	return mem_printf(ctx, "It belongs to %s: run as that account, or with CAP_DAC_OVERRIDE (\"The account and its "
			       "rights\" of operating.md in share/doc/mmretain).",
			  account(ctx, r->owner));
}

/* Nothing of a bucket is tried out: whether objects can be removed shows when the first is. */
static void judge_bucket(void *ctx, const char *bucket, const struct mm_files *f, struct cli_files *ret)
{
	if (f->unread.n) {
		ret->text = mem_printf(ctx, "%s: %s cannot be looked at, and their threads stay: %s", bucket,
				       cli_count(ctx, f->unread.n, "attachment"), f->unread.folder);
		ret->hint = f->hint && *f->hint ? f->hint : "Are bucket, region and keys those of the server?";
	} else if (f->named && f->missing == f->named) {
		ret->text = mem_printf(ctx, "%s: of %s that the database names none is there, and their threads stay",
				       bucket, cli_count(ctx, f->named, "attachment"));
		ret->hint = "Is it the server's bucket, and FileSettings.AmazonS3PathPrefix the server's?";
	} else if (f->files) {
		ret->text = mem_printf(ctx, "%s: %s looked at", bucket, cli_count(ctx, f->files, "attachment"));
	}
	ret->well = !*ret->hint;
}

static void judge(void *ctx, const char *folder, const struct mm_files *f, struct cli_files *ret)
{
	const struct mm_files_refusal *unread = &f->unread, *locked = &f->locked, *first = unread->n ? unread : locked;

	if (first->n) {
		ret->text =
			mem_printf(ctx, "%s: %u of %s looked at cannot be %s: %s in %s", folder, first->n,
				   cli_count(ctx, f->files, "attachment"),
				   unread->n ? "read, and their threads stay" : "removed when their threads are gone",
				   strerror(first->sys_errno), first->folder);
		ret->hint = refusal_hint(ctx, first);
	} else if (f->named && f->missing == f->named) {
		ret->text = mem_printf(ctx, "%s: of %s that the database names none is there, and their threads stay",
				       folder, cli_count(ctx, f->named, "attachment"));
		ret->hint = "Is it the server's folder, and is its file system mounted?";
	} else if (f->files) {
		ret->text = mem_printf(ctx, "%s: %s looked at, which can be read and removed", folder,
				       cli_count(ctx, f->files, "attachment"));
	}
	ret->well = !*ret->hint;
}

int cli_files(struct cli *cli, struct cli_files *ret, struct err *err)
{
	struct mm *mm = cli->mm;
	struct mm_files *found;
	int r;

	if (!mm_has_files(mm)) {
		*ret = (struct cli_files){.text = mem_printf(cli->ctx, "%s: threads that have some stay",
							     mm->data_problem),
					  .hint = mm_data_advice(mm)};
		return 0;
	}
	*ret = (struct cli_files){.well = true, .text = mm->config->data_path, .hint = ""};
	if (!wants_files(cli->policy))
		return 0;
	r = mm_files_look(cli->ctx, mm, &found, err);
	if (r == 0)
		(mm->bucket ? judge_bucket : judge)(cli->ctx, mm->config->data_path, found, ret);
	return r;
}
