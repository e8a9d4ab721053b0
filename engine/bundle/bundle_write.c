/* bundle_write.c - create, threads and rows. */
#include "bundle_internal.h"
#include "bundle_readme.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* ---- create ---- */

static int writer_free(struct bundle_writer *w)
{
	fd_close_p(&w->out.fd);
	fd_close_p(&w->partial_dirfd);
	blobs_free(w);
	return 0;
}

static void writer_copy_source(struct bundle_writer *w, const struct bundle_source *s)
{
	const char **text[] = {&w->source.rule,	      &w->source.policy_digest_hex, &w->source.team_id,
			       &w->source.team_label, &w->source.cluster_id,	    &w->source.database,
			       &w->source.pg_version, &w->source.schema_digest_hex, &w->source.tool_version};

	w->source = *s;
	for (size_t i = 0; i < ARRAY_LEN(text); i++)
		*text[i] = mem_strdup(w, *text[i] ? *text[i] : "");
}

static bool column_names_ok(const struct bundle_kind *k)
{
	for (size_t i = 0; i < k->n_columns; i++) {
		const char *s = k->column[i].name;
		if (*s == '\0' || !utf8_valid(s, strlen(s)))
			return false;
		for (; *s; s++)
			if ((unsigned char)*s < 0x20 || *s == '"' || *s == '\\')
				return false;
	}
	return k->owner_column < (int)k->n_columns;
}

static int writer_kinds(struct bundle_writer *w, const struct bundle_options *o, struct err *err)
{
	w->kind = mem_array(w, struct kind_codec, o->n_kinds + 1);
	w->n_kinds = o->n_kinds;
	for (size_t i = 0; i < o->n_kinds; i++) {
		if (!column_names_ok(&o->kind[i]) || !bundle_name_plain(o->kind[i].kind, 64))
			return err_set(err, ERR_SCHEMA, "table \"%s\" has a name or a column that cannot be archived",
				       o->kind[i].table);
		codec_init(w, &w->kind[i], &o->kind[i]);
	}
	return 0;
}

static void writer_init(struct bundle_writer *w, const struct bundle_source *source, const struct bundle_options *o,
			const char *identity, const char *part_name)
{
	struct buf *bufs[] = {&w->files, &w->teams, &w->channels, &w->users, &w->text};

	writer_copy_source(w, source);
	w->previous_hex = mem_strdup(w, o->previous_digest_hex ? o->previous_digest_hex : "");
	w->seq = o->seq;
	w->generation = w->sum.generation = 1;
	w->frame_bytes = o->frame_bytes ? o->frame_bytes : FRAME_BYTES_DEFAULT;
	if (w->frame_bytes > FRAME_RAW_MAX / 4)
		w->frame_bytes = FRAME_RAW_MAX / 4;
	memcpy(w->salt_secret, o->salt_secret, sizeof(w->salt_secret));
	w->identity = identity ? mem_strdup(w, identity) : bundle_identity(w, &w->source, o->seq);
	w->part_name = part_name ? mem_strdup(w, part_name) : mem_printf(w, "%s.tar.zst.part", w->identity);
	w->hash = hash_new(w);
	w->member_hash = hash_new(w);
	w->salts = salts_new(w);
	tree_init(&w->data_tree, w->hash);
	for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
		buf_init(bufs[i], w, TEXT_MEMBER_MAX);
	buf_init(&w->spill, w, BUNDLE_ROW_MAX + 1);
	w->out = (struct outfile){.fd = -1, .name = w->part_name, .file_hash = hash_new(w), .ctx = w};
	w->ring = ring_new(w, &w->out, w->frame_bytes + w->frame_bytes / 4 + LAST_ROW_BYTES, o->level ? o->level : 6,
			   o->crew);
}

static int writer_open(struct bundle_writer *w, int partial_dirfd, struct err *err)
{
	w->partial_dirfd = fcntl(partial_dirfd, F_DUPFD_CLOEXEC, 0);
	if (w->partial_dirfd < 0)
		return err_sys(err, ERR_STORE, errno, "cannot keep the folder partial/ open");
	/* O_EXCL: a leftover of a crash is settled by recovery, never written over. */
	w->out.fd = openat(w->partial_dirfd, w->part_name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (w->out.fd < 0)
		return err_sys(err, ERR_STORE, errno, "cannot create \"partial/%s\"", w->part_name);
	return file_inherit(w->out.fd, w->partial_dirfd, w->part_name, err);
}

static int writer_first_members(struct bundle_writer *w, struct err *err)
{
	int rc = member_put(w, "bagit.txt", bagit_txt, strlen(bagit_txt), err);

	if (!rc)
		rc = member_put(w, "README.txt", text_bundle_readme, text_bundle_readme_len, err);
	schema_write(&w->text, w->kind, w->n_kinds);
	if (!rc)
		rc = member_put(w, "data/schema.json", w->text.data, w->text.len, err);
	buf_clear(&w->text);
	return rc;
}

int writer_new(void *ctx, int partial_dirfd, const struct bundle_source *source, const struct bundle_options *options,
	       const char *identity, const char *part_name, struct bundle_writer **ret, struct err *err)
{
	struct bundle_writer *w = mem_new(ctx, struct bundle_writer);

	w->partial_dirfd = w->out.fd = -1;
	talloc_set_destructor(w, writer_free);
	writer_init(w, source, options, identity, part_name);
	int rc = writer_kinds(w, options, err);
	if (!rc)
		rc = writer_open(w, partial_dirfd, err);
	if (rc)
		talloc_free(w);
	else
		*ret = w;
	return rc;
}

int bundle_create(void *ctx, int partial_dirfd, const struct bundle_source *source,
		  const struct bundle_options *options, struct bundle_writer **ret, struct err *err)
{
	struct bundle_writer *w;
	int rc = writer_new(ctx, partial_dirfd, source, options, NULL, NULL, &w, err);

	if (rc)
		return rc;
	rc = writer_first_members(w, err);
	if (rc) {
		bundle_abort(w);
		return rc;
	}
	*ret = w;
	return 0;
}

void bundle_abort(struct bundle_writer *w)
{
	if (!w)
		return;
	ring_stop(w->ring);
	/* Failing to remove it is harmless: nothing in partial/ is an archive, and recovery clears the folder. */
	if (w->state != WRITER_PUBLISHED)
		(void)unlinkat(w->partial_dirfd, w->part_name, 0);
	talloc_free(w);
}

void bundle_follow(struct bundle_writer *w, const char *previous_digest_hex)
{
	TALLOC_FREE(w->previous_hex);
	w->previous_hex = mem_strdup(w, previous_digest_hex);
}

uint64_t bundle_raw_bytes(const struct bundle_writer *w)
{
	return w->sum.raw_bytes;
}

uint64_t bundle_posts(const struct bundle_writer *w)
{
	return w->sum.posts;
}

const char *bundle_identity_of(const struct bundle_writer *w)
{
	return w->identity;
}

/* ---- frames and members of rows ---- */

static void rows_cut(struct bundle_writer *w, struct slot *s)
{
	slot_meta(s)->member = (uint32_t)w->n_members;
	ring_submit(w->ring, 0);
}

int rows_close(struct bundle_writer *w, struct err *err)
{
	struct slot *s;
	char name[64];

	if (!w->in_rows)
		return 0;
	int rc = ring_slot(w->ring, &s, err);
	if (rc)
		return rc;
	if (slot_raw(s)->len > 0)
		rows_cut(w, s);
	(void)snprintf(name, sizeof(name), "data/threads/%06u.jsonl", ++w->n_row_members); /* fits */
	rc = member_header(w, name, w->member_bytes, err);
	if (rc)
		return rc;
	member_add(w, name)->bytes = w->member_bytes; /* its digest comes with its last frame */
	w->in_rows = false;
	w->member_bytes = 0;
	return 0;
}

/* ---- threads ---- */

/* Between threads is the best place to cut: a thread in one frame is one read later. */
static int rows_thread_cut(struct bundle_writer *w, struct err *err)
{
	struct slot *s;

	if (!w->in_rows)
		return 0;
	if (w->member_bytes + w->frame_bytes / 2 >= MEMBER_ROW_BYTES)
		return rows_close(w, err);
	int rc = ring_slot(w->ring, &s, err);
	if (!rc && slot_raw(s)->len >= w->frame_bytes)
		rows_cut(w, s);
	return rc;
}

static bool thread_after(const struct bundle_writer *w, const char *channel, const char *root, int64_t root_ms)
{
	int c = strcmp(channel, w->channel);

	if (!w->thread_open || c != 0)
		return !w->thread_open || c > 0;
	return root_ms > w->root_ms || (root_ms == w->root_ms && strcmp(root, w->root) > 0);
}

static bool id_ok(const char *id)
{
	size_t n = strlen(id);

	for (size_t i = 0; i < n; i++)
		if (id[i] <= 0x20 || id[i] > 0x7e) /* would break a line of frames.tsv */
			return false;
	return n > 0 && n <= CHANNEL_ID_MAX;
}

int bundle_thread_begin(struct bundle_writer *w, const char *channel_id, const char *root_id, int64_t root_create_ms,
			struct err *err)
{
	int rc = writer_check(w, err);

	if (rc)
		return rc;
	if (!id_ok(channel_id) || !id_ok(root_id))
		return err_set(err, ERR_SCHEMA, "a thread or its channel has an id that Mattermost does not make");
	if (!thread_after(w, channel_id, root_id, root_create_ms))
		return err_set(err, ERR_INTERNAL, "thread %s is not after thread %s in bundle order", root_id, w->root);
	rc = rows_thread_cut(w, err);
	if (rc)
		return writer_fail(w, err);
	text_fit(w->channel, sizeof(w->channel), channel_id);
	text_fit(w->root, sizeof(w->root), root_id);
	w->root_ms = root_create_ms;
	w->thread_open = true;
	w->thread_counted = false;
	return 0;
}

/* ---- rows ---- */

static void widen(int64_t *min, int64_t *max, int64_t ms)
{
	if (ms <= 0)
		return;
	if (*min == 0 || ms < *min)
		*min = ms;
	if (ms > *max)
		*max = ms;
}

static void row_count(struct bundle_writer *w, struct kind_codec *c, const struct bundle_field *fields,
		      struct frame_row *m)
{
	if (m->rows == 0)
		memcpy(m->first_channel, w->channel, sizeof(w->channel));
	memcpy(m->last_channel, w->channel, sizeof(w->channel));
	if (!w->thread_counted) {
		w->thread_counted = true;
		w->sum.threads++;
		m->threads++;
	}
	m->rows++;
	c->rows++;
	w->sum.rows++;
	if (strcmp(c->kind.kind, "post") != 0)
		return; /* what comes to a thread later, as a reaction, makes it no younger */
	w->sum.posts++;
	if (c->time_column >= 0) {
		int64_t ms = codec_int(&fields[c->time_column]);
		widen(&m->min_ms, &m->max_ms, ms);
		widen(&w->min_ms, &w->max_ms, ms);
	}
}

static const uint8_t *row_salt(struct bundle_writer *w, const struct kind_codec *c, const struct bundle_field *fields)
{
	static const struct bundle_field nobody = {.data = "-", .len = 1};
	const struct bundle_field *owner = c->kind.owner_column >= 0 ? &fields[c->kind.owner_column] : &nobody;

	if (owner->null || owner->len == 0)
		owner = &nobody;
	return salts_make(w->salts, w->salt_secret, w->identity, owner->data, owner->len);
}

/* The line at `at` of this frame starts a new member instead. */
static int row_move(struct bundle_writer *w, struct slot **s, size_t at, struct err *err)
{
	struct buf *raw = slot_raw(*s);

	buf_clear(&w->spill);
	buf_put(&w->spill, raw->data + at, raw->len - at);
	raw->len = at;
	int rc = rows_close(w, err);
	if (!rc)
		rc = ring_slot(w->ring, s, err);
	if (rc)
		return rc;
	buf_put(slot_raw(*s), w->spill.data, w->spill.len);
	if (w->spill.cap > (1u << 20))
		buf_reset(&w->spill);
	return 0;
}

/* No server makes such a row; where one is all the same, it need not end every night. */
static int too_wide(const struct bundle_writer *w, const struct kind_codec *c, struct err *err)
{
	err_set(err, ERR_STORE, "a %s row of thread %s is larger than %u MiB", c->kind.kind, w->root,
		BUNDLE_ROW_MAX >> 20);
	return err_hint(err, "Nothing of it was deleted. `mmretain hold add %s` keeps it, and the next run goes on.",
			w->root);
}

static int row_put(struct bundle_writer *w, struct kind_codec *c, const struct bundle_field *fields, struct err *err)
{
	struct slot *s;
	int rc = ring_slot(w->ring, &s, err);

	if (rc)
		return rc;
	size_t at = slot_raw(s)->len;
	codec_encode(c, fields, slot_raw(s));
	buf_byte(slot_raw(s), '\n');
	size_t len = slot_raw(s)->len - at;
	if (slot_raw(s)->overflow || len > BUNDLE_ROW_MAX)
		return too_wide(w, c, err);
	if (w->member_bytes > 0 && w->member_bytes + len > MEMBER_ROW_BYTES) {
		rc = row_move(w, &s, at, err);
		if (rc)
			return rc;
	}
	w->in_rows = true;
	w->member_bytes += len;
	w->sum.raw_bytes += len;
	row_count(w, c, fields, slot_meta(s));
	slot_row(s, row_salt(w, c, fields), len);
	if (slot_raw(s)->len >= w->frame_bytes + w->frame_bytes / 4)
		rows_cut(w, s);
	return ring_unsealed(w->ring) >= MEMBER_FRAMES ? rows_close(w, err) : 0;
}

int bundle_row(struct bundle_writer *w, size_t kind, const struct bundle_field *fields, struct err *err)
{
	int rc = writer_check(w, err);

	if (rc)
		return rc;
	if (!w->thread_open || kind >= w->n_kinds)
		return err_set(err, ERR_INTERNAL, "a row outside a thread, or of an unknown kind");
	rc = row_put(w, &w->kind[kind], fields, err);
	return rc ? writer_fail(w, err) : 0;
}
