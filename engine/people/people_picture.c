/*
 * people_picture.c - the profile picture of a depersonalised account.
 *
 * No journal is needed: the account itself is the order.  Its address carries our domain and its picture time is
 * negative, which is also the server's own mark of a picture that it draws from initials, so a file that is left can be
 * found at any later time.
 */
#include <mmretain/mm_bucket.h>

#include "people_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int people_picture_path(const char *user_id, char *ret, size_t size)
{
	static const char signs[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	int n;

	if (strlen(user_id) != MM_ID || strspn(user_id, signs) != MM_ID)
		return -1;
	n = snprintf(ret, size, "users/%s/profile.png", user_id);
	return n > 0 && (size_t)n < size ? 0 : -1;
}

static enum people_picture remove_object(struct mm *mm, const char *path)
{
	struct mm_bucket_seen seen;
	struct err ignored;
	int rc = mm_bucket_see(mm, path, &seen, &ignored);

	if (rc != 1)
		return rc == 0 ? PICTURE_NONE : PICTURE_LEFT;
	/* Irreversible where the bucket keeps no versions.  Before and after as in people_picture_remove. */
	if (mm_bucket_remove(mm, path, &ignored) < 0)
		return PICTURE_LEFT;
	return fault_hit(FAULT_PEOPLE_AFTER_PICTURE) ? PICTURE_LEFT : PICTURE_GONE;
}

enum people_picture people_picture_remove(struct mm *mm, const char *user_id)
{
	auto_fd int dir = -1;
	const char *leaf;
	struct err ignored;
	struct stat st;
	char path[64];

	if (!mm_has_files(mm) || people_picture_path(user_id, path, sizeof(path)) < 0)
		return PICTURE_LEFT;
	if (mm->bucket)
		return remove_object(mm, path);
	if (file_open_parent_beneath(mm->data_dirfd, path, &dir, &leaf, &ignored) < 0)
		return ignored.sys_errno == ENOENT ? PICTURE_NONE : PICTURE_LEFT;
	if (fstatat(dir, leaf, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? PICTURE_NONE : PICTURE_LEFT;
	if (!S_ISREG(st.st_mode))
		return PICTURE_LEFT;
	/* Irreversible.  Just before: the account is depersonalised, the picture is on disk and found again by
	 * people_finish. Just after: it is gone; the server draws initials.  A power cut may bring it back: it is
	 * looked for in every run. */
	if (unlinkat(dir, leaf, 0) != 0)
		return errno == ENOENT ? PICTURE_NONE : PICTURE_LEFT;
	if (fault_hit(FAULT_PEOPLE_AFTER_PICTURE))
		return PICTURE_LEFT;
	return PICTURE_GONE;
}
