/*
 * audit_pack.c - an export as one zip or tar, with a manifest and a page in plain words.
 *
 * The export is written into the work folder of audit_stage.c and packed from there file by file.
 */
#include "audit_internal.h"

#include "audit_page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define README "README.txt"
#define MANIFEST "manifest-sha256.txt"
#define THREADS "threads.tsv"
#define TEXT_MAX ((size_t)64 << 20)
#define FLUSH_BYTES ((size_t)1 << 20)

struct pack {
	struct export *x;
	int dirfd;                     /* of the folder that is packed */
	char *stem;                    /* plain ASCII */
	struct buf threads; int threads_fd;
	char **path; size_t n_paths;   /* of the files to pack */
};

enum bundle_pack_kind audit_pack_kind(const char *path, size_t *ret_stem)
{
	static const struct { const char *end; enum bundle_pack_kind kind; } known[] = {
		{".zip", PACK_ZIP}, {".tar", PACK_TAR}, {".tar.gz", PACK_TAR_GZ}, {".tgz", PACK_TAR_GZ},
		{".tar.zst", PACK_TAR_ZST}, {".tzst", PACK_TAR_ZST},
	};
	size_t len = strlen(path);

	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		size_t n = strlen(known[i].end);
		if (len > n && strcasecmp(path + len - n, known[i].end) == 0) {
			*ret_stem = len - n;
			return known[i].kind;
		}
	}
	*ret_stem = len;
	return PACK_NONE;
}

/* ---- the folder ---- */

/* Whatever goes wrong with a name of ours beside the output or in it, is told of the output. */
static int failed(const struct export *x, int errnum, struct err *err)
{
	return out_failed(x, NULL, errnum, err);
}

static int make_dir(const struct export *x, int dirfd, const char *name, int *ret, struct err *err)
{
	if (mkdirat(dirfd, name, 0700) != 0)
		return failed(x, errno, err);
	*ret = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return *ret < 0 ? failed(x, errno, err) : 0;
}

int pack_begin(struct export *x, const struct writer *w, struct err *err)
{
	struct pack *p = mem_new(x->ctx, struct pack);
	size_t len;

	*p = (struct pack){.x = x, .dirfd = x->dirfd, .threads_fd = -1};
	x->dirfd = -1;
	x->pack = p;
	buf_init(&p->threads, p, TEXT_MAX);
	(void)audit_pack_kind(x->leaf, &len);
	p->stem = plain_name(p, x->leaf, len);
	x->where = NULL;
	/* One file lies beside the texts; a folder of many has its own; an import has its fixed places. */
	if (w->folder && x->options->format != AUDIT_MATTERMOST)
		return make_dir(x, p->dirfd, w->what, &x->dirfd, err);
	x->leaf = mem_printf(x->ctx, "%s.%s", p->stem, w->what);
	x->dirfd = fcntl(p->dirfd, F_DUPFD_CLOEXEC, 0);
	return x->dirfd < 0 ? failed(x, errno, err) : 0;
}

static int text_file(struct pack *p, const char *name, int *ret, struct err *err)
{
	*ret = openat(p->dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return *ret < 0 ? failed(p->x, errno, err) : 0;
}

static int put_text(const struct pack *p, int fd, const struct buf *b, const char *name, struct err *err)
{
	int rc = file_write_all(fd, b->data, b->len, name, err);

	return rc < 0 ? failed(p->x, err->sys_errno, err) : 0;
}

/* ---- threads.tsv ---- */

static void cell(struct buf *b, const char *text, char end)
{
	for (const char *c = text; *c; c++)
		buf_byte(b, (unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c);
	buf_byte(b, end);
}

int pack_thread(struct export *x, struct audit_thread *t, struct err *err)
{
	struct pack *p = x->pack;
	void *tmp auto_mem = mem_context(NULL, "line");
	char time[TIME_TEXT] = "";
	bool first = p->threads_fd < 0;
	int rc = first ? text_file(p, THREADS, &p->threads_fd, err) : 0;

	if (first)
		buf_puts(&p->threads, "thread\tplace\tfirst_post\tposts\tbundle\textent\tleft_out\n");
	if (t->n_posts)
		time_format(t->post[0].create_ms, time);
	cell(&p->threads, t->root, '\t');
	cell(&p->threads, audit_place(tmp, t->bundle, t->channel), '\t');
	cell(&p->threads, time, '\t');
	buf_printf(&p->threads, "%llu\t", (unsigned long long)(t->n_posts - x->left.posts));
	cell(&p->threads, audit_bundle_path(t->bundle), '\t');
	cell(&p->threads,
	     x->left.whole ? "left out"
	     : t->parts	   ? "part"
	     : t->earlier  ? "earlier state"
			   : "whole",
	     '\t');
	buf_printf(&p->threads, "%llu\n", (unsigned long long)x->left.posts);
	if (rc || p->threads.len < FLUSH_BYTES)
		return rc;
	rc = put_text(p, p->threads_fd, &p->threads, THREADS, err);
	buf_clear(&p->threads);
	return rc;
}

/* ---- README.txt ---- */

static void describe_format(const struct pack *p, struct buf *b)
{
	const char *stem = p->stem;

	switch (p->x->options->format) {
	case AUDIT_HTML:
		buf_printf(b,
			   "%s.html\n    The threads as a page that looks like a chat. Open it in any browser; it "
			   "loads nothing and runs nothing.\n",
			   stem);
		if (p->x->sum.pages > 1)
			buf_printf(b, "    It is the index of %llu pages, %s-0001.html and so on.\n",
				   (unsigned long long)p->x->sum.pages, stem);
		buf_printf(b,
			   "%s_files/\n    Attachments, named by their SHA-256. The folder is missing when there are "
			   "none.\n",
			   stem);
		break;
	case AUDIT_JSONL:
		buf_printf(b, "%s.jsonl\n    The database rows as they are in the archive, one JSON object a line.\n",
			   stem);
		break;
	case AUDIT_CSV:
		buf_printf(b, "%s.csv\n    One line a post, for spreadsheets.\n", stem);
		break;
	case AUDIT_EML:
		buf_puts(b, "eml/\n    One mail a post, in the order of the threads; attachments are parts of their "
			    "mail.\n");
		break;
	case AUDIT_MATTERMOST:
		buf_puts(b, "import.jsonl, data/\n    A bulk import of Mattermost, version 1, and its attachments. An "
			    "administrator of a server that has these users,\n"
			    "    teams and channels imports the pack as it is: mmctl import upload PACK, then mmctl "
			    "import process.\n");
		break;
	}
	buf_puts(b, THREADS "\n    The threads: id, place, time of the first post, number of posts, bundle, whether it "
			    "is whole, a part, an earlier state or left out, number of posts left out.\n" MANIFEST
			    "\n    The SHA-256 of every file here.\n");
}

static void describe_bundles(struct export *x, struct buf *b)
{
	buf_puts(b, "\nWhere it comes from\n-------------------\n");
	for (size_t i = 0; i < x->audit->stats.bundles; i++) {
		struct audit_bundle *bundle = &x->audit->bundle[i];
		if (!bundle->exported)
			continue;
		if (x->options->verify)
			bundle_check_once(bundle);
		buf_printf(b, "%s\n    %s\n", audit_bundle_path(bundle),
			   x->options->verify ? bundle->check_text : "not verified by this export");
	}
}

static void describe(struct pack *p, struct buf *b)
{
	struct export *x = p->x;
	const struct audit_exported *sum = &x->sum;
	int64_t now_ms = time_now_ms();
	char made[TIME_TEXT];

	time_format(now_ms - now_ms % 1000, made);
	buf_puts(b, "Archived chat: what this pack holds, and how to check it\n"
		    "========================================================\n\n");
	buf_puts(b, "Case:       ");
	cell(b, x->options->case_id ? x->options->case_id : "-", '\n');
	buf_puts(b, "Asked for:  ");
	cell(b, x->options->asked ? x->options->asked : "-", '\n');
	buf_printf(b, "Holds:      threads: %llu, posts: %llu, attachments: %llu\n", (unsigned long long)sum->threads,
		   (unsigned long long)sum->posts, (unsigned long long)sum->files);
	if (sum->files_missing)
		buf_printf(b, "            %llu attachments are named in it whose content is not in the archive\n",
			   (unsigned long long)sum->files_missing);
	if (sum->threads_left_out || sum->posts_left_out)
		buf_printf(b, "Left out:   threads: %llu, posts: %llu that this format cannot express\n",
			   (unsigned long long)sum->threads_left_out, (unsigned long long)sum->posts_left_out);
	buf_printf(b, "Made at:    %s (UTC)\n", made);
	buf_puts(b, "Made by:    ");
	cell(b, x->options->tool ? x->options->tool : "mmretain", '\n');
	buf_puts(b, "\nFiles\n-----\n");
	describe_format(p, b);
	describe_bundles(x, b);
	buf_put(b, text_audit_pack, text_audit_pack_len);
}

static int write_texts(struct pack *p, struct err *err)
{
	auto_fd int fd = -1;
	struct buf b;
	int rc = p->threads_fd < 0 ? 0 : put_text(p, p->threads_fd, &p->threads, THREADS, err);

	if (!rc)
		rc = text_file(p, README, &fd, err);
	if (rc)
		return rc;
	buf_init(&b, p, TEXT_MAX);
	describe(p, &b);
	rc = put_text(p, fd, &b, README, err);
	buf_reset(&b);
	return rc;
}

/* ---- packing ---- */

static int list_folder(struct pack *p, int dirfd, const char *prefix, struct err *err);

static int list_one(struct pack *p, int dirfd, const char *prefix, const char *name, struct err *err)
{
	auto_fd int sub = -1;

	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return 0;
	sub = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (sub >= 0)
		return list_folder(p, sub, mem_printf(p, "%s%s/", prefix, name), err);
	if (p->n_paths % 256 == 0)
		p->path = mem_grow(p, p->path, char *, p->n_paths + 256);
	p->path[p->n_paths++] = mem_printf(p, "%s%s", prefix, name);
	return 0;
}

/* All of it or an error: of what is not listed neither pack nor manifest would say that it was there. */
static int list_folder(struct pack *p, int dirfd, const char *prefix, struct err *err)
{
	const struct dirent *e;
	DIR *dir;
	int rc = file_list_dir(dirfd, ".", &dir, err);

	if (rc)
		return rc;
	while (rc == 0 && (errno = 0, e = readdir(dir)))
		rc = list_one(p, dirfd, prefix, e->d_name, err);
	if (rc == 0 && errno)
		rc = failed(p->x, errno, err);
	(void)closedir(dir); /* read only */
	return rc;
}

/* The page in plain words comes first. */
static int by_place(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;
	int first = (strcmp(y, README) == 0) - (strcmp(x, README) == 0);

	return first ? first : strcmp(x, y);
}

static int pack_one(struct pack *p, struct bundle_pack *out, const char *top, const char *path, struct buf *manifest,
		    struct err *err)
{
	char hex[DIGEST_HEX + 1];
	struct digest d;
	auto_fd int fd = openat(p->dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char *name = mem_printf(p, "%s%s", top, path);

	if (fd < 0)
		return failed(p->x, errno, err);
	int rc = bundle_pack_file(out, fd, name, &d, err);
	digest_hex(&d, hex);
	if (!rc && manifest)
		buf_printf(manifest, "%s  %s\n", hex, path);
	talloc_free(name);
	return rc;
}

static int pack_files(struct pack *p, struct bundle_pack *out, struct err *err)
{
	auto_fd int fd = -1;
	const char *top = p->x->options->format == AUDIT_MATTERMOST ? "" : mem_printf(p, "%s/", p->stem);
	struct buf manifest;
	int rc = list_folder(p, p->dirfd, "", err);

	if (!rc)
		qsort(p->path, p->n_paths, sizeof(*p->path), by_place);
	if (!rc)
		rc = text_file(p, MANIFEST, &fd, err);
	buf_init(&manifest, p, TEXT_MAX);
	for (size_t i = 0; i < p->n_paths && !rc; i++) {
		rc = stop_check(err);
		if (!rc)
			rc = pack_one(p, out, top, p->path[i], &manifest, err);
		if (!rc && (manifest.len > FLUSH_BYTES || i + 1 == p->n_paths)) {
			rc = put_text(p, fd, &manifest, MANIFEST, err);
			buf_clear(&manifest);
		}
		progress_update(p->x->options->progress, "pack", i + 1, p->n_paths, "files");
	}
	return rc ? rc : pack_one(p, out, top, MANIFEST, NULL, err);
}

int pack_end(struct export *x, struct err *err)
{
	struct pack *p = x->pack;
	struct bundle_pack *out;
	auto_fd int fd = -1;
	int rc = write_texts(p, err);

	if (rc)
		return rc;
	if ((rc = stage_pack_file(x, &fd, err)) < 0)
		return rc;
	rc = bundle_pack_open(p, fd, x->options->out, x->options->pack, x->newest_ms, &out, err);
	if (!rc)
		rc = pack_files(p, out, err);
	if (!rc)
		rc = bundle_pack_close(out, &x->sum.pack_sha256, &x->sum.pack_bytes, err);
	if (!rc)
		rc = file_sync(fd, x->options->out, err);
	/* The bundles are read by now: what fails here is on the way out. */
	return (rc == -ERR_STORE || rc == -ERR_PERMISSION) && err->sys_errno ? failed(x, err->sys_errno, err) : rc;
}

void pack_drop(struct export *x)
{
	if (!x->pack)
		return;
	fd_close_p(&x->pack->threads_fd);
	fd_close_p(&x->pack->dirfd);
}
