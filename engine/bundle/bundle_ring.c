/*
 * bundle_ring.c - frames from the encoder to the file.
 *
 * A ring of slots.  The caller fills a slot, workers compress filled slots and hash their rows in any order, and the
 * caller writes them in order: the file is touched by one thread only, and its bytes do not depend on the number of
 * workers.  A member's digest goes over its frames in order; whichever worker comes by takes it further.  The size of a
 * row member is known when its last row is; until then its frames are compressed but held back, and `seal` puts the tar
 * header before them.
 */
#include "bundle_ring.h"

#include <errno.h>
#include <string.h>

/* The digest of the member whose frame is next in order. */
struct chain { uint64_t next; bool busy; uint32_t member; struct hash *empty, *member_hash, *so_far; };

struct ring {
	struct bundle_crew *crew;
	struct slot *slot[RING_SLOTS];     /* from tail to head, and the one being filled */
	uint64_t head, tail, sealed;       /* next to fill, to write; below sealed: may be written */
	struct outfile *out;
	int level;
	size_t raw_bytes;                  /* of a usual frame, at most */
	struct hand *caller;
	struct chain chain;
	pthread_mutex_t *lock;             /* the crew's */
	pthread_cond_t done;
};

/* ---- the file ---- */

int outfile_write(struct outfile *o, const void *data, size_t len, struct err *err)
{
	int rc, fault = fault_hit(FAULT_BUNDLE_WRITE);

	if (fault)
		rc = err_sys(err, ERR_STORE, fault, "cannot write \"%s\"", o->name);
	else
		rc = file_write_all(o->fd, data, len, o->name, err);
	if (rc)
		return err_hint(err, "Nothing was deleted. Free space on the archive's file system or check its disk, "
				     "then run again.");
	hash_update(o->file_hash, data, len);
	o->offset += len;
	return 0;
}

int outfile_frame(struct outfile *o, const struct frame_row *meta, const void *data, size_t clen, size_t rlen,
		  struct err *err)
{
	uint64_t at = o->offset;
	int rc = outfile_write(o, data, clen, err);

	if (rc)
		return rc;
	if (o->n_frames >= FRAMES_MAX)
		return err_set(err, ERR_STORE, "\"%s\" has too many frames", o->name);
	if (o->n_frames == o->cap_frames) {
		o->cap_frames = o->cap_frames ? 2 * o->cap_frames : 256;
		o->frame = mem_grow(o->ctx, o->frame, struct frame_row, o->cap_frames);
	}
	struct frame_row *f = &o->frame[o->n_frames++];
	*f = meta ? *meta : (struct frame_row){.member = NO_MEMBER};
	f->offset = at;
	f->clen = (uint32_t)clen;
	f->rlen = (uint32_t)rlen;
	return 0;
}

/* ---- workers ---- */

static void slot_so_far(struct slot *s, struct chain *c)
{
	if (!s->n_rows)
		return;
	if (s->meta.member != c->member)
		hash_copy(c->member_hash, c->empty);
	c->member = s->meta.member;
	hash_update(c->member_hash, s->raw->buf.data, s->raw_len);
	hash_copy(c->so_far, c->member_hash);
	hash_final(c->so_far, &s->meta.so_far);
}

/* With the lock held before and after: all frames that were submitted, unless somebody is at it. */
static void chain_on(struct ring *r)
{
	struct chain *c = &r->chain;

	while (!c->busy && c->next < r->head) {
		struct slot *s = r->slot[c->next % RING_SLOTS];

		c->busy = true;
		pthread_mutex_unlock(r->lock);
		slot_so_far(s, c);
		pthread_mutex_lock(r->lock);
		c->busy = false;
		c->next++;
		s->chained = true;
		if (s->state == SLOT_DONE)
			crew_raw_back(r->crew, s);
	}
}

void ring_done(struct slot *s)
{
	struct ring *r = s->ring;

	s->state = SLOT_DONE;
	if (s->chained)
		crew_raw_back(r->crew, s);
	chain_on(r);
	pthread_cond_signal(&r->done);
}

/* Is nobody at work on it? */
static bool quiet(const struct ring *r)
{
	for (uint64_t i = r->tail; i < r->head; i++)
		if (r->slot[i % RING_SLOTS]->state != SLOT_DONE)
			return false;
	return !r->chain.busy;
}

void ring_stop(struct ring *r)
{
	pthread_mutex_lock(r->lock);
	while (!quiet(r))
		pthread_cond_wait(&r->done, r->lock);
	pthread_mutex_unlock(r->lock);
	for (size_t i = 0; i < RING_SLOTS; i++)
		if (r->slot[i])
			crew_slot_back(r->crew, r->slot[i]);
	memset(r->slot, 0, sizeof r->slot);
	r->tail = r->sealed = r->head;
}

static int ring_free(struct ring *r)
{
	ring_stop(r);
	crew_hand_back(r->crew, r->caller);
	pthread_cond_destroy(&r->done);
	return 0;
}

struct ring *ring_new(void *ctx, struct outfile *out, size_t raw_bytes, int level, struct bundle_crew *crew)
{
	struct ring *r = mem_new(ctx, struct ring);

	r->crew = crew ? crew : bundle_crew_new(r, 0);
	r->lock = crew_lock(r->crew);
	r->out = out;
	r->level = level;
	r->raw_bytes = raw_bytes;
	r->caller = crew_hand(r->crew);
	r->chain = (struct chain){.member = NO_MEMBER,
				  .empty = hash_new(r),
				  .member_hash = hash_new(r),
				  .so_far = hash_new(r)};
	pthread_cond_init(&r->done, NULL);
	talloc_set_destructor(r, ring_free);
	return r;
}

struct bundle_crew *ring_crew(const struct ring *r)
{
	return r->crew;
}

struct zc *ring_zc(struct ring *r)
{
	return r->caller->zc;
}

struct buf *slot_raw(struct slot *s)
{
	return &s->raw->buf;
}

struct frame_row *slot_meta(struct slot *s)
{
	return &s->meta;
}

/* ---- the caller's side ---- */

void slot_row(struct slot *s, const uint8_t *salt, size_t len)
{
	if (s->n_rows == s->cap_rows) {
		s->cap_rows = s->cap_rows ? 2 * s->cap_rows : 1024;
		s->row = mem_grow(s, s->row, struct row, s->cap_rows);
	}
	s->row[s->n_rows++] = (struct row){salt, len};
}

/* The oldest: compressed, and in its member's digest. */
static struct slot *tail_wait(struct ring *r)
{
	struct slot *s = r->slot[r->tail % RING_SLOTS];

	pthread_mutex_lock(r->lock);
	while (s->state != SLOT_DONE || r->chain.next <= r->tail)
		pthread_cond_wait(&r->done, r->lock);
	pthread_mutex_unlock(r->lock);
	return s;
}

/* Write the oldest frame. */
static int ring_collect(struct ring *r, struct err *err)
{
	struct slot *s = tail_wait(r);
	int rc = 0;

	if (s->out_len == 0)
		return err_set(err, ERR_INTERNAL, "zstd could not compress a frame of \"%s\"", r->out->name);
	if (s->head_len)
		rc = outfile_frame(r->out, NULL, s->head, s->head_len, s->head_raw, err);
	if (!rc)
		rc = outfile_frame(r->out, &s->meta, s->out, s->out_len, s->raw_len, err);
	if (rc)
		return rc;
	r->slot[r->tail++ % RING_SLOTS] = NULL;
	crew_slot_back(r->crew, s);
	return 0;
}

int ring_slot(struct ring *r, struct slot **ret, struct err *err)
{
	struct slot **at = &r->slot[r->head % RING_SLOTS];

	if (r->head - r->tail == RING_SLOTS) {
		/* Callers seal at the latest after MEMBER_FRAMES frames, so the oldest one is sealed. */
		int rc = ring_collect(r, err);
		if (rc)
			return rc;
	}
	if (!*at)
		*at = crew_slot(r->crew);
	if (!(*at)->raw)
		(*at)->raw = crew_raw(r->crew, r->raw_bytes);
	*ret = *at;
	return 0;
}

void ring_submit(struct ring *r, int level)
{
	struct slot *s = r->slot[r->head % RING_SLOTS];
	bool works = crew_works(r->crew);

	s->ring = r;
	s->raw_len = s->raw->buf.len;
	s->level = level ? level : r->level;
	if (!works)
		slot_work(s, r->caller);
	pthread_mutex_lock(r->lock);
	r->head++;
	if (works)
		crew_give(r->crew, s);
	else
		ring_done(s);
	pthread_mutex_unlock(r->lock);
}

unsigned ring_unsealed(const struct ring *r)
{
	return (unsigned)(r->head - r->sealed);
}

int ring_seal(struct ring *r, const char *header, size_t len, struct err *err)
{
	struct slot *s = r->slot[r->sealed % RING_SLOTS];

	if (header) {
		s->head_len = zc_compress(r->caller->zc, r->level, s->head, sizeof(s->head), header, len);
		s->head_raw = len;
		if (s->head_len == 0)
			return err_set(err, ERR_INTERNAL, "zstd could not compress a header of \"%s\"", r->out->name);
	}
	r->sealed = r->head;
	return 0;
}

int ring_drain(struct ring *r, struct err *err)
{
	int rc = 0;

	while (!rc && r->tail < r->sealed)
		rc = ring_collect(r, err);
	return rc;
}
