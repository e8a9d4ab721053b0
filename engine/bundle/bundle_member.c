/* bundle_member.c - one tar member: header, data cut into frames, SHA-256 for the manifests. */
#include "bundle_internal.h"

#include <string.h>

int writer_fail(struct bundle_writer *w, struct err *err)
{
	if (w->state != WRITER_FAILED)
		w->first = *err;
	w->state = WRITER_FAILED;
	return err->code;
}

int writer_check(struct bundle_writer *w, struct err *err)
{
	if (w->state == WRITER_OPEN)
		return 0;
	if (w->state == WRITER_FAILED) {
		/* After a failed write nothing may follow: the file has a hole in it. */
		*err = w->first;
		return err->code;
	}
	return err_set(err, ERR_INTERNAL, "bundle \"%s\" is finished", w->identity);
}

struct member *member_add(struct bundle_writer *w, const char *name)
{
	if (w->n_members == w->cap_members) {
		w->cap_members = w->cap_members ? 2 * w->cap_members : 64;
		w->member = mem_grow(w, w->member, struct member, w->cap_members);
	}
	struct member *m = &w->member[w->n_members++];
	*m = (struct member){.name = mem_strdup(w, name)};
	return m;
}

/* The header goes into a frame of its own together with the padding of the member before: so the data of every member
 * begins and ends with a frame. */
int member_header(struct bundle_writer *w, const char *name, uint64_t size, struct err *err)
{
	char block[TAR_BLOCK + TAR_HEADER_MAX] = {0};
	size_t pad = tar_padding(w->last_size), len = tar_header(w->identity, name, size, block + pad);

	if (len == 0)
		return err_set(err, ERR_INTERNAL, "member name \"%s\" does not fit into a tar header", name);
	if (size > RAW_TOTAL_MAX || w->n_members >= MEMBERS_MAX)
		return err_set(err, ERR_STORE, "bundle \"%s\" has too many or too large members", w->identity);
	w->last_size = size;
	return ring_seal(w->ring, block, pad + len, err);
}

int member_open(struct bundle_writer *w, const char *name, uint64_t size, struct err *err)
{
	struct slot *s;
	int rc = ring_slot(w->ring, &s, err); /* the slot that will carry the header */

	if (!rc)
		rc = member_header(w, name, size, err);
	if (!rc)
		member_add(w, name)->bytes = size;
	return rc;
}

static int member_submit(struct bundle_writer *w, struct slot *s, int level, struct err *err)
{
	slot_meta(s)->member = (uint32_t)(w->n_members - 1);
	ring_submit(w->ring, level);
	return ring_seal(w->ring, NULL, 0, err);
}

int member_data(struct bundle_writer *w, const void *data, size_t len, int level, struct err *err)
{
	const char *p = data;

	hash_update(w->member_hash, data, len);
	while (len > 0) {
		struct slot *s;
		int rc = ring_slot(w->ring, &s, err);
		if (rc)
			return rc;
		size_t n = w->frame_bytes - slot_raw(s)->len;
		n = n < len ? n : len;
		buf_put(slot_raw(s), p, n);
		p += n;
		len -= n;
		if (slot_raw(s)->len == w->frame_bytes)
			rc = member_submit(w, s, level, err);
		if (rc)
			return rc;
	}
	return 0;
}

int member_close(struct bundle_writer *w, int level, struct err *err)
{
	struct member *m = &w->member[w->n_members - 1];
	struct slot *s;
	int rc = ring_slot(w->ring, &s, err);

	if (rc)
		return rc;
	hash_final(w->member_hash, &m->sha256);
	/* An empty member has one empty frame, so that every member can be found in frames.tsv. */
	if (slot_raw(s)->len > 0 || m->bytes == 0)
		rc = member_submit(w, s, level, err);
	return rc;
}

int member_put(struct bundle_writer *w, const char *name, const void *data, size_t len, struct err *err)
{
	int rc = member_open(w, name, len, err);

	if (!rc)
		rc = member_data(w, data, len, 0, err);
	return rc ? rc : member_close(w, 0, err);
}
