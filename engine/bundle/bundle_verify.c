/* bundle_verify.c - one walk over every byte of a bundle.  Whatever it accepts could have been written by this program
 * only: our headers, our order, our frames, our seek table. */
#include "bundle_internal.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct walk {
	struct bundle_reader *r;
	const struct ahead_frame *frame;           /* the one being looked at */
	struct row_rules rules;
	struct row_sum rows;
	struct tree data_tree;
	struct hash *file_hash, *prefix_hash, *member_hash;
	struct zc *zc;
	struct buf again;                          /* frames and table rebuilt, to compare */
	struct member *member; size_t n, cap;
	uint64_t left, n_blobs, n_threads;         /* left: bytes of the open member still to come */
	bool in_data;                              /* a data frame comes next, not a header */
	bool ended;
	size_t next_frame;                         /* in frames.tsv */
	struct buf manifest, tagmanifest, bag_info, bundle_json, files, history;
	uint64_t generations;                      /* earlier ones, whose mmretain.json is here */
};

static int bad(const struct walk *w, struct err *err, const char *what)
{
	return err_set(err, ERR_VERIFY, "\"%s\" is damaged: %s", w->r->name, what);
}

/* ---- headers ---- */

static bool name_allowed(const char *s)
{
	static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/";

	return s[0] && s[0] != '/' && s[0] != '.' && strspn(s, set) == strlen(s) && !strstr(s, "..") &&
	       !strstr(s, "//");
}

static bool all_zero(const char *p, size_t n)
{
	while (n > 0 && p[n - 1] == 0)
		n--;
	return n == 0;
}

static int walk_header(struct walk *w, struct err *err)
{
	const struct buf *raw = &w->frame->raw;
	size_t pad = w->n ? tar_padding(w->member[w->n - 1].bytes) : 0;
	char name[128];
	uint64_t size;

	if (raw->len < pad || !all_zero(raw->data, pad))
		return bad(w, err, "the padding of a member is not empty");
	if (raw->len - pad == 2 * TAR_BLOCK && all_zero(raw->data, raw->len)) {
		w->ended = true;
		return 0;
	}
	if (!tar_parse(raw->data + pad, raw->len - pad, w->r->trailer.identity, name, &size) || !name_allowed(name))
		return bad(w, err, "a tar header is not one of ours");
	if (w->n >= MEMBERS_MAX || size > RAW_TOTAL_MAX)
		return bad(w, err, "it has too many or too large members");
	if (w->n == w->cap) {
		w->cap = w->cap ? 2 * w->cap : 64;
		w->member = mem_grow(w->r, w->member, struct member, w->cap);
	}
	w->member[w->n++] = (struct member){.name = mem_strdup(w->r, name), .bytes = size};
	w->left = size;
	w->in_data = true;
	return 0;
}

/* ---- data ---- */

static struct buf *kept_text(struct walk *w, const char *name)
{
	if (strcmp(name, "manifest-sha256.txt") == 0)
		return &w->manifest;
	if (strcmp(name, "tagmanifest-sha256.txt") == 0)
		return &w->tagmanifest;
	if (strcmp(name, "bag-info.txt") == 0)
		return &w->bag_info;
	if (strcmp(name, "data/files.jsonl") == 0)
		return &w->files;
	if (strncmp(name, HISTORY_FOLDER, strlen(HISTORY_FOLDER)) == 0)
		return &w->history;
	return strcmp(name, "data/bundle.json") == 0 ? &w->bundle_json : NULL;
}

static bool after_index(const char *name)
{
	return strcmp(name, "frames.tsv") == 0 || strcmp(name, "tagmanifest-sha256.txt") == 0 ||
	       strcmp(name, "mmretain.json") == 0;
}

static int walk_rows(struct walk *w, const struct bundle_frame *f, size_t k, struct err *err)
{
	const struct ahead_frame *done = w->frame;

	if (done->sum.rows == 0 || done->sum.rows != f->rows ||
	    memcmp(&done->root, &w->r->root[k], sizeof(done->root)) != 0)
		return bad(w, err, "frames.tsv names other rows than there are");
	row_sum_add(&w->rows, &done->sum, &w->rules);
	tree_add(&w->data_tree, done->root.b, DIGEST_BYTES);
	w->n_threads += w->r->threads[k];
	return 0;
}

/* The line of frames.tsv for this frame. */
static int walk_index(struct walk *w, size_t i, const struct member *m, struct err *err)
{
	size_t k = w->next_frame;

	if (after_index(m->name))
		return 0;
	if (k >= w->r->n_frames || w->r->frame[k].no != i || strcmp(w->r->frame[k].member, m->name) != 0)
		return bad(w, err, "frames.tsv does not name every frame");
	w->next_frame++;
	if (is_row_member(m->name))
		return walk_rows(w, &w->r->frame[k], k, err);
	return w->r->frame[k].rows == 0 && w->r->threads[k] == 0 ? 0
								 : bad(w, err, "frames.tsv names rows where none are");
}

/* The name of a blob is the digest of its content. */
static bool blob_name_ok(const struct member *m)
{
	char hex[DIGEST_HEX + 1], name[96];

	digest_hex(&m->sha256, hex);
	(void)snprintf(name, sizeof(name), "data/files/%.2s/%s", hex, hex);
	return strcmp(name, m->name) == 0;
}

/* What an erasure replaced said the same of the rows. */
static int walk_history(struct walk *w, const char *name, struct err *err)
{
	char *want = history_name(w->r, w->generations + 1);
	bool sound = strcmp(name, want) == 0 && w->generations + 1 < w->r->trailer.generation &&
		     trailer_precedes(&w->r->trailer, w->history.data ? w->history.data : "", w->history.len,
				      w->generations + 1);

	talloc_free(want);
	w->generations++;
	buf_clear(&w->history);
	return sound ? 0 : bad(w, err, "what it was before an erasure is not told as it must be");
}

static int walk_member_end(struct walk *w, struct member *m, struct err *err)
{
	hash_final(w->member_hash, &m->sha256);
	w->in_data = false;
	if (strncmp(m->name, "data/files/", 11) == 0) {
		w->n_blobs++;
		if (!blob_name_ok(m))
			return bad(w, err, "an attachment has another content than its name says");
	}
	if (kept_text(w, m->name) == &w->history) {
		int rc = walk_history(w, m->name, err);
		if (rc)
			return rc;
	}
	const struct { const char *name; const struct digest *d; } ahead[] = {
		{"data/schema.json", &w->rules.schema_sha256}, {"salts.jsonl", &w->rules.salts_sha256},
		{"frames.tsv", &w->r->frames_sha256},
	};
	for (size_t i = 0; i < ARRAY_LEN(ahead); i++)
		if (strcmp(m->name, ahead[i].name) == 0 && memcmp(&m->sha256, ahead[i].d, sizeof(m->sha256)) != 0)
			return bad(w, err, "two reads of the same bytes differ");
	return 0;
}

static int walk_data(struct walk *w, size_t i, struct err *err)
{
	const struct buf *raw = &w->frame->raw;
	struct member *m = &w->member[w->n - 1];
	struct buf *text = kept_text(w, m->name);

	if (raw->len > w->left || (raw->len == 0 && m->bytes > 0))
		return bad(w, err, "a member is longer than its header says");
	hash_update(w->member_hash, raw->data, raw->len);
	if (text)
		buf_put(text, raw->data, raw->len);
	if (text && text->overflow)
		return bad(w, err, "a member is too large");
	int rc = walk_index(w, i, m, err);
	if (rc)
		return rc;
	w->left -= raw->len;
	return w->left == 0 ? walk_member_end(w, m, err) : 0;
}

/* ---- the whole file ---- */

static int walk_frame(struct walk *w, size_t i, struct ahead *ahead, struct err *err)
{
	struct bundle_reader *r = w->r;
	int rc = ahead_next(ahead, &w->frame, err);

	if (rc)
		return rc;
	const struct buf *raw = &w->frame->raw, *comp = &w->frame->comp;
	if (i + TAIL_FRAMES == r->n_pos)
		hash_copy(w->prefix_hash, w->file_hash);
	hash_update(w->file_hash, comp->data, comp->len);
	if (i + TAIL_FRAMES >= r->n_pos) {
		/* Past the prefix digest: the frame must be the one spelling of its content. */
		buf_clear(&w->again);
		zc_stored_frame(w->zc, &w->again, raw->data, raw->len);
		if (w->again.len != comp->len || memcmp(w->again.data, comp->data, comp->len) != 0)
			return bad(w, err, "one of the last frames is not as we write it");
	}
	if (w->ended)
		return bad(w, err, "something follows the end of the tar");
	return w->in_data ? walk_data(w, i, err) : walk_header(w, err);
}

static int walk_table(struct walk *w, struct err *err)
{
	struct bundle_reader *r = w->r;
	uint64_t at = r->pos[r->n_pos - 1].offset + r->pos[r->n_pos - 1].clen;

	buf_clear(&w->again);
	seek_table(&w->again, r->pos, r->n_pos);
	buf_clear(&r->comp);
	if (r->walked || r->size - at != w->again.len || !buf_reserve(&r->comp, w->again.len))
		return bad(w, err, "its seek table is broken; the rows can still be read");
	int rc = file_pread_all(r->fd, r->comp.data, w->again.len, (off_t)at, r->name, err);
	if (rc)
		return rc;
	if (memcmp(r->comp.data, w->again.data, w->again.len) != 0)
		return bad(w, err, "its seek table is broken; the rows can still be read");
	hash_update(w->file_hash, w->again.data, w->again.len);
	return 0;
}

static bool hex_is(const char *hex, const struct digest *d)
{
	char again[DIGEST_HEX + 1];

	digest_hex(d, again);
	return strcmp(hex, again) == 0;
}

static int walk_sums(struct walk *w, struct bundle_check *sum, struct err *err)
{
	const struct trailer *t = &w->r->trailer;
	struct digest d;

	hash_final(w->prefix_hash, &d);
	if (!hex_is(t->prefix_hex, &d) || t->prefix_bytes != w->r->pos[w->r->n_pos - TAIL_FRAMES].offset)
		return bad(w, err, "its bytes are not the ones that were written");
	if (!hex_is(t->rows_hex, &sum->rows_digest))
		return bad(w, err, "its rows have another digest than mmretain.json says");
	if (t->rows != sum->rows || t->posts != sum->posts || t->threads != sum->threads || t->blobs != sum->blobs ||
	    t->row_bytes != sum->raw_bytes || t->erased != sum->erased)
		return bad(w, err, "mmretain.json names other counts than there are");
	if (w->generations + 1 != t->generation || (t->generation == 1 && sum->erased > 0))
		return bad(w, err, "it does not say what was erased in it");
	if (w->n < 3 || strcmp(w->member[w->n - 1].name, "mmretain.json") != 0 ||
	    strcmp(w->member[w->n - 2].name, "tagmanifest-sha256.txt") != 0 ||
	    !hex_is(t->tagmanifest_hex, &w->member[w->n - 2].sha256))
		return bad(w, err, "its last members are not the ones that mmretain.json names");
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->member[i].name, "manifest-sha256.txt") == 0 &&
		    hex_is(t->manifest_hex, &w->member[i].sha256))
			return 0;
	return bad(w, err, "its manifest is not the one that mmretain.json names");
}

static int walk_end(struct walk *w, const char *final_name, struct bundle_check *sum, struct err *err)
{
	uint64_t n_files[FILE_STATES];

	if (!w->ended || w->in_data || w->next_frame != w->r->n_frames)
		return bad(w, err, "it ends in the middle");
	sum->rows = w->rows.rows;
	sum->posts = w->rows.posts;
	sum->erased = w->rows.gone;
	sum->generation = (uint32_t)w->r->trailer.generation;
	sum->threads = w->n_threads;
	sum->blobs = w->n_blobs;
	sum->raw_bytes = w->rows.bytes;
	sum->frames = w->r->n_pos;
	tree_root(&w->data_tree, &sum->rows_digest);
	int rc = walk_sums(w, sum, err);
	if (!rc)
		rc = bag_check(w->member, w->n, w->manifest.data, w->manifest.len, w->tagmanifest.data,
			       w->tagmanifest.len, w->bag_info.data, w->bag_info.len, err);
	if (!rc)
		rc = files_check(w->r, w->files.data, w->files.len, n_files, err);
	if (!rc)
		rc = check_counts(&w->rules, &w->rows, sum, n_files, w->bundle_json.data, w->bundle_json.len, err);
	if (rc)
		return rc;
	const char *base = final_name ? strrchr(final_name, '/') : NULL;
	if (final_name && !bundle_name_matches(base ? base + 1 : final_name, w->r->trailer.identity, &sum->rows_digest,
					       (uint32_t)w->r->trailer.generation))
		return bad(w, err, "its name is not the one of its content");
	return 0;
}

static int walk_init(struct walk *w, struct bundle_reader *r, struct err *err)
{
	struct buf *bufs[] = {&w->manifest, &w->tagmanifest, &w->bag_info,
			      &w->bundle_json, &w->files, &w->history, &w->again};

	*w = (struct walk){.r = r};
	w->file_hash = hash_new(r);
	w->prefix_hash = hash_new(r);
	w->member_hash = hash_new(r);
	w->zc = zc_new(r);
	for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
		buf_init(bufs[i], r, SMALL_MEMBER_MAX);
	int rc = rows_prepare(&w->rules, r, r, err);
	if (rc)
		return rc;
	row_sum_init(&w->rows, r, &w->rules);
	tree_init(&w->data_tree, hash_new(r));
	return 0;
}

static int walk_all(struct bundle_reader *r, const char *final_name, int workers, struct bundle_check *sum,
		    const struct progress *progress, struct err *err)
{
	struct ahead *ahead = NULL;
	struct walk w;
	uint64_t total = 0;
	int rc = walk_init(&w, r, err);

	if (!rc)
		ahead = ahead_new(r, r, &w.rules, workers);
	for (size_t i = 0; i < r->n_pos && !rc; i++) {
		total += r->pos[i].rlen;
		if (total > RAW_TOTAL_MAX)
			rc = bad(&w, err, "it claims to be too large");
		if (!rc)
			rc = walk_frame(&w, i, ahead, err);
		if (progress && !rc)
			progress_update(progress, "verify", r->pos[i].offset + r->pos[i].clen, r->size, "bytes");
	}
	talloc_free(ahead); /* before what its threads read */
	if (!rc)
		rc = walk_table(&w, err);
	if (rc)
		return rc;
	hash_final(w.file_hash, &sum->file_digest);
	return walk_end(&w, final_name, sum, err);
}

int check_file(int fd, const char *name, const char *final_name, int workers, struct bundle_check *ret,
	       const struct progress *progress, struct err *err)
{
	struct bundle_check sum = {0};
	struct bundle_reader *r;
	int rc = bundle_open_fd(NULL, fd, name, &r, err);

	if (!rc) {
		rc = walk_all(r, final_name, workers, &sum, progress, err);
		talloc_free(r);
	}
	if (!rc)
		*ret = sum;
	else if (rc == -ERR_VERIFY)
		(void)snprintf(ret->damage, sizeof(ret->damage), "%.*s", (int)sizeof(ret->damage) - 1, err->msg);
	return rc;
}

int bundle_verify(int root_dirfd, const char *rel_path, struct bundle_check *ret, const struct progress *progress,
		  struct err *err)
{
	int fd = -1, rc = open_bundle_file(root_dirfd, rel_path, &fd, err);

	if (rc)
		return rc;
	/* Read the disk, not our memory of it; only advice, so a failure means nothing. */
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	rc = check_file(fd, rel_path, rel_path, (int)sysconf(_SC_NPROCESSORS_ONLN) - 1, ret, progress, err);
	if (rc == -ERR_VERIFY)
		err_hint(err, "Do not delete this file. Restore it from a copy, or look at it with `tar --zstd -tvf`.");
	return rc;
}
