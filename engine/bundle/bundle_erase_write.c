/*
 * bundle_erase_write.c - the bundle once more, without the rows that go.
 *
 * One walk over the old file.  Frames in which nothing changes are copied as they are; those with rows that go are
 * written anew, and members that name the person; what describes the file (manifests, frames.tsv, mmretain.json, seek
 * table) follows from the new one.
 */
#include "bundle_internal.h"
#include <jansson.h>

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct copy {
	struct bundle_erasure *e;
	struct bundle_reader *r;
	struct bundle_writer *w;
	struct row_sum rows;     /* of the new file */
	size_t at, tsv;          /* next frame of the old file; its line in frames.tsv is not before this one */
	uint64_t last_size;      /* of the member before, in the old file */
	/* the member: the frame of its header, and how many of data follow */
	char name[128]; uint64_t size; size_t header, n;
	uint64_t line;           /* of rows, counted over the file */
};

static int copy_bad(const struct copy *c, const char *what, struct err *err)
{
	return err_set(err, ERR_VERIFY, "\"%s\" is damaged: %s", c->r->name, what);
}

/* ---- frames ---- */

static struct frame_row meta_of(const struct bundle_reader *r, size_t k, uint32_t member)
{
	const struct bundle_frame *f = &r->frame[k];
	struct frame_row m = {.member = member,
			      .rows = f->rows,
			      .threads = r->threads[k],
			      .min_ms = f->min_ms,
			      .max_ms = f->max_ms,
			      .root = r->root[k]};

	memcpy(m.first_channel, f->first_channel, sizeof(m.first_channel));
	memcpy(m.last_channel, f->last_channel, sizeof(m.last_channel));
	return m;
}

/* The line of frames.tsv for frame i of the old file. */
static int tsv_of(struct copy *c, size_t i, size_t *ret, struct err *err)
{
	while (c->tsv < c->r->n_frames && c->r->frame[c->tsv].no < i)
		c->tsv++;
	if (c->tsv >= c->r->n_frames || c->r->frame[c->tsv].no != i)
		return copy_bad(c, "frames.tsv does not name every frame", err);
	*ret = c->tsv;
	return 0;
}

static int put_compressed(struct copy *c, const struct frame_row *meta, const char *raw, size_t len, struct err *err)
{
	size_t cap = zc_bound(len);
	char *out = mem_array(c->e, char, cap);
	size_t n = zc_compress(ring_zc(c->w->ring), 6, out, cap, raw, len);
	int rc = n ? outfile_frame(&c->w->out, meta, out, n, len, err)
		   : err_set(err, ERR_INTERNAL, "zstd could not compress a frame of \"%s\"", c->w->part_name);

	talloc_free(out);
	return rc;
}

/* The header of the open member; the old frame when it is the same. */
static int put_header(struct copy *c, uint64_t size, struct err *err)
{
	char block[TAR_BLOCK + TAR_HEADER_MAX] = {0};
	size_t pad = tar_padding(c->w->last_size), len = pad + tar_header(c->w->identity, c->name, size, block + pad);
	int rc = ring_drain(c->w->ring, err);

	if (!rc)
		rc = reader_frame(c->r, c->header, err);
	if (rc)
		return rc;
	c->w->last_size = size;
	member_add(c->w, c->name)->bytes = size;
	if (c->r->raw.len == len && memcmp(c->r->raw.data, block, len) == 0)
		return outfile_frame(&c->w->out, NULL, c->r->comp.data, c->r->comp.len, len, err);
	return put_compressed(c, NULL, block, len, err);
}

/* ---- members ---- */

static int copy_member(struct copy *c, struct err *err)
{
	int rc = put_header(c, c->size, err);
	size_t k = 0;

	for (size_t i = c->header + 1; i <= c->header + c->n && !rc; i++) {
		rc = tsv_of(c, i, &k, err);
		if (!rc)
			rc = reader_frame(c->r, i, err);
		if (rc)
			return rc;
		struct frame_row m = meta_of(c->r, k, (uint32_t)c->w->n_members - 1);
		hash_update(c->w->member_hash, c->r->raw.data, c->r->raw.len);
		rc = outfile_frame(&c->w->out, &m, c->r->comp.data, c->r->comp.len, c->r->raw.len, err);
	}
	if (!rc)
		hash_final(c->w->member_hash, &c->w->member[c->w->n_members - 1].sha256);
	return rc;
}

/* One frame of rows with the lines of those that go replaced. */
static int rewrite_frame(struct copy *c, size_t i, struct buf *b, struct err *err)
{
	struct bundle_erasure *e = c->e;
	struct row_seen seen;
	int rc = reader_frame(c->r, i, err);

	for (const char *p = c->r->raw.data, *end = p + c->r->raw.len, *nl; !rc && p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		size_t len = nl ? (size_t)(nl - p) : 0;
		if (!nl || c->line >= e->n_lines || row_look(e->check, p, len, &seen))
			return copy_bad(c, "two reads of the same bytes differ", err);
		if (erase_goes(e, c->line++))
			erased_line(b, e->q, &e->rules->kind[seen.kind], p, len, &seen.commit);
		else
			buf_put(b, p, len);
		buf_byte(b, '\n');
	}
	if (!rc && (b->overflow || b->len > FRAME_RAW_MAX))
		rc = err_set(err, ERR_STORE, "a frame of \"%s\" becomes too large", c->w->part_name);
	return rc;
}

static int put_rows(struct copy *c, size_t i, size_t k, const struct buf *anew, struct err *err)
{
	struct frame_row m = meta_of(c->r, k, (uint32_t)c->w->n_members - 1);
	struct digest root;
	int rc = anew->data ? 0 : reader_frame(c->r, i, err);

	if (rc)
		return rc;
	const struct buf *raw = anew->data ? anew : &c->r->raw;
	rc = rows_frame(c->e->check, raw->data, raw->len, &c->rows, &root, err);
	if (rc)
		return err_prefix(err, "\"%s\"", c->w->part_name);
	if (memcmp(&root, &m.root, sizeof(root)) != 0)
		return copy_bad(c, "frames.tsv names other rows than there are", err);
	tree_add(&c->w->data_tree, root.b, DIGEST_BYTES);
	hash_update(c->w->member_hash, raw->data, raw->len);
	if (anew->data)
		return put_compressed(c, &m, raw->data, raw->len, err);
	return outfile_frame(&c->w->out, &m, c->r->comp.data, c->r->comp.len, raw->len, err);
}

/* The size of a member stands before its data, so the frames that change are made first. */
static int copy_rows(struct copy *c, struct err *err)
{
	void *tmp auto_mem = mem_context(c->e, "member");
	struct buf *anew = mem_array(tmp, struct buf, c->n + 1);
	uint64_t size = 0;
	size_t k = 0;
	int rc = 0;

	for (size_t i = 0; i < c->n && !rc; i++) {
		size_t no = c->header + 1 + i;
		buf_init(&anew[i], tmp, FRAME_RAW_MAX + 1);
		rc = tsv_of(c, no, &k, err);
		if (!rc && c->e->touched[k])
			rc = rewrite_frame(c, no, &anew[i], err);
		else if (!rc)
			c->line += c->r->frame[k].rows;
		size += rc || !anew[i].data ? c->r->pos[no].rlen : anew[i].len;
	}
	if (!rc)
		rc = put_header(c, size, err);
	c->tsv = 0;
	for (size_t i = 0; i < c->n && !rc; i++) {
		rc = tsv_of(c, c->header + 1 + i, &k, err);
		if (!rc)
			rc = put_rows(c, c->header + 1 + i, k, &anew[i], err);
	}
	if (!rc)
		hash_final(c->w->member_hash, &c->w->member[c->w->n_members - 1].sha256);
	return rc;
}

static bool blob_goes(const struct copy *c)
{
	const char *slash = strrchr(c->name, '/');
	struct digest d;

	if (strncmp(c->name, "data/files/", 11) != 0 || strlen(slash + 1) != DIGEST_HEX ||
	    !hex_decode(slash + 1, DIGEST_BYTES, d.b))
		return false;
	for (size_t i = 0; i < c->e->n_blobs; i++)
		if (memcmp(&c->e->blob[i].sha256, &d, sizeof(d)) == 0)
			return true;
	return false;
}

/* The new text of a member, or NULL: it stays as it is. */
static int text_of(struct copy *c, struct buf **ret, bool *ret_optional, struct err *err)
{
	struct bundle_erasure *e = c->e;
	const struct { const char *name; struct buf *b; bool optional; } list[] = {
		{"data/names/users.jsonl", &e->users, true}, {"data/names/channels.jsonl", &e->channels, true},
		{"data/files.jsonl", &e->files, true},       {"salts.jsonl", &e->salts, false},
	};

	*ret = NULL;
	*ret_optional = false;
	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		if (strcmp(c->name, list[i].name) == 0)
			*ret = list[i].b, *ret_optional = list[i].optional;
	buf_clear(&c->w->text);
	if (strcmp(c->name, "data/bundle.json") == 0)
		return *ret = &c->w->text, erase_bundle_json(e, &c->rows, *ret, err);
	if (strcmp(c->name, "bag-info.txt") == 0)
		return *ret = &c->w->text, erase_bag_info(e, *ret, err);
	return 0;
}

static int one_member(struct copy *c, struct err *err)
{
	struct buf *text;
	bool optional;
	int rc;

	if (is_row_member(c->name))
		return copy_rows(c, err);
	if (blob_goes(c))
		return 0;
	c->w->sum.blobs += strncmp(c->name, "data/files/", 11) == 0;
	rc = text_of(c, &text, &optional, err);
	if (rc)
		return rc;
	if (!text)
		return copy_member(c, err);
	if (text->overflow)
		return err_set(err, ERR_STORE, "\"%s\" of \"%s\" is too large", c->name, c->w->part_name);
	rc = optional && text->len == 0 ? 0 : member_put(c->w, c->name, text->len ? text->data : "", text->len, err);
	buf_clear(&c->w->text);
	return rc;
}

/* ---- the file ---- */

/* 1: a member, 0: the manifest, which follows from the new members. */
static int next_member(struct copy *c, struct err *err)
{
	size_t pad = c->at ? tar_padding(c->last_size) : 0;
	uint64_t seen = 0;
	int rc = reader_frame(c->r, c->at, err);

	if (rc)
		return rc;
	if (c->r->raw.len < pad ||
	    !tar_parse(c->r->raw.data + pad, c->r->raw.len - pad, c->w->identity, c->name, &c->size))
		return copy_bad(c, "a tar header is not one of ours", err);
	c->header = c->at;
	for (c->n = 0; c->n == 0 || seen < c->size; c->n++) {
		if (c->header + c->n + 1 + TAIL_FRAMES >= c->r->n_pos)
			return copy_bad(c, "it ends in the middle", err);
		seen += c->r->pos[c->header + c->n + 1].rlen;
	}
	c->at = c->header + c->n + 1;
	c->last_size = c->size;
	return strcmp(c->name, "manifest-sha256.txt") != 0;
}

/* What described the file so far stays beside what describes it from now on. */
static int put_history(struct copy *c, struct err *err)
{
	char *name = history_name(c->w, c->r->trailer.generation);
	json_error_t je;
	int rc = reader_frame(c->r, c->r->n_pos - 2, err);

	if (rc)
		return rc;
	json_t *o = json_loadb(c->r->raw.data, c->r->raw.len, JSON_REJECT_DUPLICATES, &je);
	const char *previous = json_string_value(json_object_get(o, "previous_rows_sha256"));
	c->w->previous_hex = mem_strdup(c->w, previous ? previous : "");
	json_decref(o);
	return member_put(c->w, name, c->r->raw.data, c->r->raw.len, err);
}

static int copy_all(struct copy *c, struct err *err)
{
	struct bundle_check *sum = &c->w->sum;
	int rc;

	while ((rc = next_member(c, err)) == 1)
		if ((rc = one_member(c, err)) < 0)
			return rc;
	if (!rc)
		rc = put_history(c, err);
	if (rc)
		return rc;
	sum->threads = c->r->trailer.threads;
	sum->rows = c->rows.rows;
	sum->posts = c->rows.posts;
	sum->raw_bytes = c->rows.bytes;
	sum->erased = c->rows.gone;
	sum->generation = c->w->generation = (uint32_t)c->r->trailer.generation + 1;
	tree_root(&c->w->data_tree, &sum->rows_digest);
	return writer_seal(c->w, err);
}

/* ---- read back ---- */

static int compare(struct bundle_erasure *e, struct bundle_reader *anew, struct err *err)
{
	const char *old, *now;
	size_t old_len, now_len;
	struct row_seen seen;
	struct buf want;
	int rc = 0, more;

	buf_init(&want, e, BUNDLE_ROW_MAX + 1);
	bundle_rewind(e->r);
	for (uint64_t line = 0; (more = bundle_read_row(e->r, &old, &old_len, err)) == 1; line++) {
		rc = bundle_read_row(anew, &now, &now_len, err);
		if (rc < 0)
			break;
		bool same = rc == 1 && line < e->n_lines;
		if (same && erase_goes(e, line)) {
			buf_clear(&want);
			same = !row_look(e->check, old, old_len, &seen);
			erased_line(&want, e->q, &e->rules->kind[same ? seen.kind : 0], old, old_len, &seen.commit);
			old = want.data;
			old_len = want.len;
		}
		if (!same || now_len != old_len || memcmp(now, old, old_len) != 0)
			return err_set(err, ERR_VERIFY, "row %llu of \"%s\" is not what it must be",
				       (unsigned long long)line + 1, e->w->part_name);
	}
	rc = rc < 0 ? rc : more;
	buf_reset(&want);
	if (rc == 0 && bundle_read_row(anew, &now, &now_len, err) != 0)
		rc = err_set(err, ERR_VERIFY, "\"%s\" has more rows than \"%s\"", e->w->part_name, e->r->name);
	return rc;
}

static int read_back(struct bundle_erasure *e, struct err *err)
{
	struct bundle_reader *anew;
	char hex[DIGEST_HEX + 1];
	int fd = -1, rc;

	digest_hex(&e->w->sum.rows_digest, hex);
	if (strcmp(hex, e->r->trailer.rows_hex) != 0 || e->w->sum.rows != e->r->trailer.rows)
		return err_set(err, ERR_VERIFY, "\"%s\" has other rows than \"%s\"", e->w->part_name, e->r->name);
	rc = writer_read_back(e->w, &e->file_bytes, err);
	if (!rc)
		rc = open_bundle_file(e->w->partial_dirfd, e->w->part_name, &fd, err);
	if (!rc)
		rc = bundle_open_fd(e, fd, e->w->part_name, &anew, err);
	return rc ? rc : compare(e, anew, err);
}

int bundle_erase_write(struct bundle_erasure *e, int partial_dirfd, struct bundle_check *ret, struct err *err)
{
	struct bundle_options o = {.kind = e->rules->kind, .n_kinds = e->rules->n_kinds, .seq = 0};
	struct bundle_source none = {.rule = ""};
	struct copy c = {.e = e, .r = e->r};
	const char *slash = strrchr(e->new_rel_path, '/'), *leaf = slash ? slash + 1 : e->new_rel_path;
	int rc = writer_new(NULL, partial_dirfd, &none, &o, e->r->trailer.identity, mem_printf(e, "%s.part", leaf),
			    &e->w, err);

	if (rc)
		return rc;
	c.w = e->w;
	row_sum_init(&c.rows, e, e->rules);
	rc = copy_all(&c, err);
	if (!rc)
		rc = read_back(e, err);
	if (!rc)
		*ret = e->w->sum;
	return rc;
}

int bundle_erase_publish(struct bundle_erasure *e, void *ctx, struct receipt **ret, struct err *err)
{
	const char *slash = strrchr(e->new_rel_path, '/');
	char *folder = mem_strndup(e, e->new_rel_path, slash ? (size_t)(slash - e->new_rel_path) : 0);

	if (!e->w || e->w->state != WRITER_FINISHED || !slash)
		return err_set(err, ERR_INTERNAL, "\"%s\" is not written", e->new_rel_path);
	return writer_publish(e->w, ctx, e->root_dirfd, folder, slash + 1, e->file_bytes, ret, err);
}
