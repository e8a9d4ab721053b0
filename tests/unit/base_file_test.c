/* base_file_test.c - files below a folder: what is opened, replaced, published and listed. */
#include "base_tests.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const bad_paths[] = {"",   "/etc/passwd", "../x", "a/../x",	  "a//b", "./a", "a/.",
					"a/", "..",	     "link", "dirlink/f", "fifo", "dir"};

START_TEST(test_beneath)
{
	char dir[] = "/tmp/mmr-base-XXXXXX", path[512];
	auto_fd int dirfd = -1;
	struct err err;
	int fd = -1;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(file_open_dir(dir, &dirfd, &err), 0);
	ck_assert_int_eq(file_make_dirs(dirfd, "dir/sub", &err), 0);
	ck_assert_int_eq(file_replace(dirfd, "dir/sub/f", "x", 1, 0600, &err), 0);
	ck_assert_int_eq(symlinkat("/etc/passwd", dirfd, "link"), 0);
	ck_assert_int_eq(symlinkat("dir/sub", dirfd, "dirlink"), 0);
	snprintf(path, sizeof path, "%s/fifo", dir);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_lt(file_open_beneath(dirfd, bad_paths[_i], &fd, &err), 0);
	ck_assert_int_eq(file_open_beneath(dirfd, "dir/sub/f", &fd, &err), 0);
	close(fd);
	ck_assert_int_lt(file_open_beneath(dirfd, "none", &fd, &err), 0);
	ck_assert_int_eq(err.sys_errno, ENOENT);
	snprintf(path, sizeof path, "rm -rf %s", dir);
	ck_assert_int_eq(system(path), 0);
}
END_TEST

/* In pieces: the old file until the end, and still the old one when it is given up. */
START_TEST(test_replace_in_pieces)
{
	char dir[] = "/tmp/mmr-base-XXXXXX", *text;
	auto_fd int dirfd = -1, fd = -1;
	struct err err;
	size_t len;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(file_open_dir(dir, &dirfd, &err), 0);
	ck_assert_int_eq(file_replace(dirfd, "a", "old", 3, 0600, &err), 0);
	for (int given_up = 1; given_up >= 0; given_up--) {
		ck_assert_int_eq(file_replace_begin(dirfd, "a", 0600, &fd, &err), 0);
		ck_assert_int_eq(file_write_all(fd, "ne", 2, "a", &err), 0);
		ck_assert_int_eq(file_write_all(fd, "w", 1, "a", &err), 0);
		if (given_up)
			file_replace_drop(dirfd, "a", &fd);
		else
			ck_assert_int_eq(file_replace_end(dirfd, "a", &fd, &err), 0);
		ck_assert_int_eq(fd, -1);
		ck_assert_int_eq(file_read(NULL, dirfd, "a", 10, &text, &len, &err), 0);
		ck_assert_str_eq(text, given_up ? "old" : "new");
		talloc_free(text);
		ck_assert_int_ne(faccessat(dirfd, "a.tmp", F_OK, 0), 0);
	}
	ck_assert_int_eq(unlinkat(dirfd, "a", 0), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(test_publish_never_overwrites)
{
	char dir[] = "/tmp/mmr-base-XXXXXX", path[512];
	auto_fd int dirfd = -1;
	struct err err;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(file_open_dir(dir, &dirfd, &err), 0);
	ck_assert_int_eq(file_replace(dirfd, "a", "a", 1, 0600, &err), 0);
	ck_assert_int_eq(file_replace(dirfd, "b", "b", 1, 0600, &err), 0);
	ck_assert_int_eq(file_publish(dirfd, "a", dirfd, "b", &err), -ERR_STORE);
	ck_assert_int_eq(err.sys_errno, EEXIST);
	ck_assert_int_eq(file_publish(dirfd, "a", dirfd, "c", &err), 0);
	ck_assert_int_ne(faccessat(dirfd, "a", F_OK, 0), 0);
	snprintf(path, sizeof path, "rm -rf %s", dir);
	ck_assert_int_eq(system(path), 0);
}
END_TEST

/* The C library's, with a failure on demand. */
static bool fdopendir_fails;
DIR *fdopendir(int fd)
{
	static DIR *(*real)(int);

	if (fdopendir_fails) {
		errno = ENOMEM;
		return NULL;
	}
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "fdopendir");
	return real(fd);
}

START_TEST(test_list_dir_leaks_nothing)
{
	struct err err = {.code = 0};
	DIR *dir = NULL;
	int before = dup(0), after;

	close(before);
	fdopendir_fails = true;
	ck_assert_int_eq(file_list_dir(AT_FDCWD, "/", &dir, &err), -ERR_STORE);
	ck_assert_ptr_null(dir);
	fdopendir_fails = false;
	ck_assert_int_lt(file_list_dir(AT_FDCWD, "/proc/self/cwd", &dir, &err), 0); /* a link */
	after = dup(0);
	close(after);
	ck_assert_int_eq(after, before);
	ck_assert_int_eq(file_list_dir(AT_FDCWD, "/", &dir, &err), 0);
	closedir(dir);
}
END_TEST

/* Exchanges a folder with a link to another place, as fast as it can. */
struct swapper { int dirfd; _Atomic bool end; };

static void *swap(void *payload)
{
	struct swapper *s = payload;

	while (!s->end)
		(void)syscall(SYS_renameat2, s->dirfd, "in/d", s->dirfd, "link", RENAME_EXCHANGE);
	return NULL;
}

START_TEST(test_beneath_race)
{
	char dir[] = "/tmp/mmr-base-XXXXXX", path[512];
	struct swapper s = {.end = false};
	auto_fd int below = -1;
	unsigned inside = 0, refused = 0;
	struct err err;
	struct stat st;
	pthread_t thread;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(file_open_dir(dir, &s.dirfd, &err), 0);
	ck_assert_int_eq(file_make_dirs(s.dirfd, "in/d/sub", &err), 0);
	ck_assert_int_eq(file_make_dirs(s.dirfd, "out/sub", &err), 0);
	ck_assert_int_eq(file_replace(s.dirfd, "out/sub/f", "outside", 7, 0600, &err), 0);
	snprintf(path, sizeof path, "%s/out", dir);
	ck_assert_int_eq(symlinkat(path, s.dirfd, "link"), 0);
	below = openat(s.dirfd, "in", O_RDONLY | O_DIRECTORY);
	ck_assert_int_eq(pthread_create(&thread, NULL, swap, &s), 0);
	for (int i = 0; i < 20000 || !inside || !refused; i++) {
		auto_fd int parent = -1, fd = -1;
		const char *leaf;

		if (file_open_parent_beneath(below, "d/sub/f", &parent, &leaf, &err) == 0) {
			(void)unlinkat(parent, leaf, 0);
			inside++;
		} else {
			refused++;
		}
		ck_assert_int_lt(file_open_beneath(below, "d/sub/f", &fd, &err), 0);
	}
	s.end = true;
	pthread_join(thread, NULL);
	ck_assert_int_eq(fstatat(s.dirfd, "out/sub/f", &st, 0), 0);
	close(s.dirfd);
	snprintf(path, sizeof path, "rm -rf %s", dir);
	ck_assert_int_eq(system(path), 0);
}
END_TEST

TCase *base_file_case(void)
{
	TCase *tc = tcase_create("file");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_beneath, 0, (int)ARRAY_LEN(bad_paths));
	tcase_add_test(tc, test_replace_in_pieces);
	tcase_add_test(tc, test_publish_never_overwrites);
	tcase_add_test(tc, test_list_dir_leaks_nothing);
	tcase_add_test(tc, test_beneath_race);
	return tc;
}
