/* A file, or bytes, to a checked policy. */
#include "policy_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_file(int fd, const char *path, size_t *ret_len, struct err *err)
{
	struct stat st;
	int rc;

	if (fstat(fd, &st) < 0)
		return err_sys(err, ERR_POLICY, errno, "cannot examine policy file \"%s\"", path);
	if (!S_ISREG(st.st_mode)) {
		err_set(err, ERR_POLICY, "policy file \"%s\" is not a regular file", path);
		return err_hint(err, "Name a YAML file; folders, pipes and devices are not read.");
	}
	if ((rc = file_check_trusted(fd, "policy file", path, err)) < 0)
		return rc;
	if (st.st_size > (off_t)POLICY_FILE_BYTES_MAX) {
		err_set(err, ERR_POLICY, "policy file \"%s\" is larger than 1 MiB", path);
		return err_hint(err, "Shorten it; use globs in place of long lists of names.");
	}
	*ret_len = (size_t)st.st_size;
	return 0;
}

static int open_file(const char *path, int *ret_fd, struct err *err)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	if (fd >= 0) {
		*ret_fd = fd;
		return 0;
	}
	if (errno == ELOOP) {
		err_set(err, ERR_POLICY, "policy file \"%s\" is a symbolic link", path);
		return err_hint(err, "Name the file that it points to.");
	}
	err_sys(err, errno == EACCES ? ERR_PERMISSION : ERR_POLICY, errno, "cannot open policy file \"%s\"", path);
	if (err->sys_errno == ENOENT)
		return err_hint(err, "Create it, or name another with `-c FILE`; ready policies are in "
				     "`share/doc/mmretain/policies/` of the installation.");
	return err->sys_errno == EACCES ? err_hint(err, "Run as the user that may read it.") : err->code;
}

int policy_load(void *ctx, const char *path, struct policy **ret, struct policy_problems **ret_problems,
		struct err *err)
{
	auto_mem void *tmp = mem_context(ctx, "policy file");
	auto_fd int fd = -1;
	size_t len = 0;
	char *text;
	int rc;

	if (ret_problems)
		*ret_problems = mem_new(ctx, struct policy_problems);
	rc = open_file(path, &fd, err);
	if (rc < 0)
		return rc;
	rc = check_file(fd, path, &len, err);
	if (rc < 0)
		return rc;
	text = mem_array(tmp, char, len + 1);
	rc = len ? file_pread_all(fd, text, len, 0, path, err) : 0;
	if (rc < 0)
		return rc;
	if (ret_problems)
		TALLOC_FREE(*ret_problems);
	return policy_parse(ctx, path, text, len, ret, ret_problems, err);
}

static struct policy *policy_new(void *ctx, const char *name, const char *text, size_t len)
{
	struct policy *p = mem_new(ctx, struct policy);
	struct hash *h = hash_new(p);

	p->path = mem_strdup(p, name);
	hash_bytes(h, text, len, &p->digest);
	TALLOC_FREE(h);
	p->archive.bundle_size_bytes = 256 << 20;
	p->archive.mirror.timeout_ms = 30000;
	/* -1: not given; policy_check puts the preset's value there. */
	p->throttle = (struct policy_throttle){.preset = PRESET_NORMAL,
					       .target_ms = -1,
					       .pause_factor = -1,
					       .export_pause_factor = -1,
					       .blob_grace_ms = -1,
					       .replica_lag_ms = -1,
					       .replica_lag_bytes = -1,
					       .probe_latency_ms = -1};
	return p;
}

static void parse(void *tmp, struct policy *p, struct problem_list *l, const char *text, size_t len)
{
	struct binder b = {.ctx = p, .scratch = tmp, .problems = l};
	struct node *root;

	if (len > POLICY_FILE_BYTES_MAX) {
		policy_problem_at(l, 1, 1, "the policy is larger than 1 MiB");
		policy_hint(l, "Shorten it; use globs in place of long lists of names.");
		return;
	}
	if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
		text += 3; /* the mark that Windows editors put before UTF-8; libyaml would take it for text */
		len -= 3;
	}
	if (!policy_text_check(l, text, len))
		return;
	root = policy_tree(tmp, l, text, len);
	if (!root)
		return;
	policy_bind_section(&b, &policy_root, root, p);
	policy_check(l, p, root);
}

static int report(const struct policy_problems *all, const char *name, struct err *err)
{
	const struct policy_problem *first = all->item;

	while (first->warning)
		first++;
	if (all->n_errors == 1)
		err_set(err, ERR_POLICY, "%s:%u:%u: %s", name, first->line, first->column, first->text);
	else
		err_set(err, ERR_POLICY, "%s has %zu errors, the first at %u:%u: %s", name, all->n_errors, first->line,
			first->column, first->text);
	return err_hint(err, "%s", first->hint);
}

int policy_parse(void *ctx, const char *name, const char *text, size_t len, struct policy **ret,
		 struct policy_problems **ret_problems, struct err *err)
{
	auto_mem void *tmp = mem_context(ctx, "policy parse");
	struct problem_list l = {.all = mem_new(tmp, struct policy_problems)};
	struct policy *p = policy_new(tmp, name, text, len);
	int rc = 0;

	parse(tmp, p, &l, text, len);
	policy_problems_sort(&l);
	if (l.all->n_errors)
		rc = report(l.all, name, err);
	if (p->archive.store)
		l.all->store = mem_strdup(l.all, p->archive.store);
	if (ret_problems)
		*ret_problems = (struct policy_problems *)talloc_steal(ctx, l.all);
	if (rc == 0)
		*ret = (struct policy *)talloc_steal(ctx, p);
	return rc;
}
