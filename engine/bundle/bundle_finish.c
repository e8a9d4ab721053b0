/* bundle_finish.c - the members after the rows, the seek table, and the bytes on disk. */
#include "bundle_internal.h"

#include <string.h>

/* The text in w->text becomes a member. */
static int put_text(struct bundle_writer *w, const char *name, struct err *err)
{
	struct buf *b = &w->text;
	int rc = 0;

	if (b->overflow)
		rc = err_set(err, ERR_STORE, "\"%s\" of bundle \"%s\" is too large", name, w->identity);
	if (!rc)
		rc = member_put(w, name, b->len ? b->data : "", b->len, err);
	buf_clear(b);
	return rc;
}

static int finish_lists(struct bundle_writer *w, struct err *err)
{
	const struct { const char *name; struct buf *b; } list[] = {
		{"data/names/teams.jsonl", &w->teams}, {"data/names/channels.jsonl", &w->channels},
		{"data/names/users.jsonl", &w->users}, {"data/files.jsonl", &w->files},
	};
	int rc = rows_close(w, err);

	for (size_t i = 0; i < ARRAY_LEN(list) && !rc; i++) {
		if (list[i].b->len > 0)
			rc = member_put(w, list[i].name, list[i].b->data, list[i].b->len, err);
		buf_reset(list[i].b);
	}
	return rc;
}

/* What the workers made of the rows: once all their frames are in the file. */
static int finish_rows(struct bundle_writer *w, struct err *err)
{
	int rc = ring_drain(w->ring, err);

	for (size_t i = 0; i < w->out.n_frames && !rc; i++) {
		const struct frame_row *f = &w->out.frame[i];
		if (f->rows == 0)
			continue;
		tree_add(&w->data_tree, f->root.b, DIGEST_BYTES);
		w->member[f->member].sha256 = f->so_far;
	}
	tree_root(&w->data_tree, &w->sum.rows_digest);
	return rc;
}

static int finish_tags(struct bundle_writer *w, struct err *err)
{
	describe_bundle_json(w, &w->text);
	int rc = put_text(w, "data/bundle.json", err);
	describe_bag_info(w, &w->text);
	if (!rc)
		rc = put_text(w, "bag-info.txt", err);
	salts_write(&w->text, w->salts);
	return rc ? rc : put_text(w, "salts.jsonl", err);
}

static int finish_manifest(struct bundle_writer *w, struct err *err)
{
	int rc = 0;

	describe_manifest(w, &w->text, true);
	if (!rc)
		rc = put_text(w, "manifest-sha256.txt", err);
	if (!rc)
		w->manifest = w->member[w->n_members - 1].sha256;
	return rc;
}

/* frames.tsv names the frames before it, so those must be in the file first; mmretain.json says where frames.tsv is. */
static int finish_index(struct bundle_writer *w, struct err *err)
{
	int rc = ring_drain(w->ring, err);

	if (rc)
		return rc;
	w->frames_at = (uint32_t)w->out.n_frames + 1; /* after its header */
	describe_frames(w, &w->text);
	rc = put_text(w, "frames.tsv", err);
	if (!rc)
		rc = ring_drain(w->ring, err);
	if (rc)
		return rc;
	w->frames_n = (uint32_t)w->out.n_frames - w->frames_at;
	w->tagmanifest_at = (uint32_t)w->out.n_frames + 1;
	describe_manifest(w, &w->text, false);
	rc = put_text(w, "tagmanifest-sha256.txt", err);
	if (!rc)
		rc = ring_drain(w->ring, err);
	w->tagmanifest_n = (uint32_t)w->out.n_frames - w->tagmanifest_at;
	w->tagmanifest = w->member[w->n_members - 1].sha256;
	return rc;
}

static int put_stored(struct bundle_writer *w, const void *data, size_t len, struct err *err)
{
	buf_clear(&w->text);
	zc_stored_frame(ring_zc(w->ring), &w->text, data, len);
	return outfile_frame(&w->out, NULL, w->text.data, w->text.len, len, err);
}

/* mmretain.json and the end of the tar, in frames that have one spelling only. */
static int finish_tail(struct bundle_writer *w, struct err *err)
{
	char block[TAR_BLOCK + TAR_HEADER_MAX] = {0}, zero[3 * TAR_BLOCK] = {0};
	struct buf json;

	buf_init(&json, w, 1u << 16);
	describe_mmretain_json(w, &json);
	size_t pad = tar_padding(w->last_size);
	size_t len = tar_header(w->identity, "mmretain.json", json.len, block + pad);
	int rc = put_stored(w, block, pad + len, err);
	if (!rc)
		rc = put_stored(w, json.data, json.len, err);
	if (!rc)
		rc = put_stored(w, zero, tar_padding(json.len) + 2 * TAR_BLOCK, err);
	buf_reset(&json);
	return rc;
}

static int finish_table(struct bundle_writer *w, struct err *err)
{
	struct frame_pos *pos = mem_array(w, struct frame_pos, w->out.n_frames);

	for (size_t i = 0; i < w->out.n_frames; i++)
		pos[i] = (struct frame_pos){w->out.frame[i].offset, w->out.frame[i].clen, w->out.frame[i].rlen};
	buf_clear(&w->text);
	seek_table(&w->text, pos, w->out.n_frames);
	talloc_free(pos);
	return outfile_write(&w->out, w->text.data, w->text.len, err);
}

static int finish_sync(struct bundle_writer *w, struct err *err)
{
	int fault = fault_hit(FAULT_BUNDLE_SYNC), rc;

	hash_final(w->out.file_hash, &w->sum.file_digest);
	w->sum.frames = w->out.n_frames;
	/* A crash before or after leaves a file in partial/, which recovery removes; all rows are in the database.  A
	 * failed sync is final: the kernel may have dropped the pages and would report success the next time. */
	if (fault)
		rc = err_sys(err, ERR_STORE, fault, "cannot make \"partial/%s\" durable", w->part_name);
	else
		rc = file_sync(w->out.fd, w->part_name, err);
	if (!rc)
		rc = file_close(&w->out.fd, w->part_name, err);
	if (rc)
		return err_hint(err, "Nothing was deleted. Check the disk of the archive, then run again; the bundle "
				     "is built anew.");
	return 0;
}

int bundle_finish(struct bundle_writer *w, struct err *err)
{
	int rc = writer_check(w, err);

	if (!rc)
		rc = finish_lists(w, err);
	if (!rc)
		rc = finish_rows(w, err);
	if (!rc)
		rc = finish_tags(w, err);
	return rc ? writer_fail(w, err) : writer_seal(w, err);
}

int writer_seal(struct bundle_writer *w, struct err *err)
{
	static int (*const step[])(struct bundle_writer *, struct err *) = {finish_manifest, finish_index, finish_tail,
									    finish_table, finish_sync};
	int rc = writer_check(w, err);

	for (size_t i = 0; i < ARRAY_LEN(step) && !rc; i++)
		rc = step[i](w, err);
	if (rc)
		return writer_fail(w, err);
	ring_stop(w->ring);
	buf_reset(&w->text);
	w->state = WRITER_FINISHED;
	return 0;
}
