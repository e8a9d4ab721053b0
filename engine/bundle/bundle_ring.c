/*
 * bundle_ring.c - frames from the encoder to the file.
 *
 * A ring of slots.  The caller fills a slot, workers compress filled slots and hash their rows in any order, and the caller writes them in
 * order: the file is touched by one thread only, and its bytes do not depend on the number of workers.  A member's digest goes over
 * its frames in order; whichever worker comes by takes it further.  The size of a row member is
 * known when its last row is; until then its frames are compressed but held back, and `seal` puts the tar header before them.
 */
#include "bundle_internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define RING_SLOTS 20u           /* MEMBER_FRAMES, and some for the workers to do meanwhile */
#define SLOT_KEEP (1u << 20)     /* buffers larger than this are given back */
#define WORKERS_MAX 16

enum slot_state { SLOT_FREE, SLOT_READY, SLOT_BUSY, SLOT_DONE };

struct row { const uint8_t *salt; size_t len; };

struct slot {
	struct buf raw;
	struct row *row; size_t n_rows, cap_rows;
	void *own;                                  /* out grows in whichever thread works on the slot: nothing else hangs there */
	char *out; size_t cap, out_len;
	char head[2560]; size_t head_len, head_raw; /* compressed tar header, first frame of a member */
	int level;
	enum slot_state state;
	struct frame_row meta;
};

/* Who compresses: into a buffer that is large enough for anything, from there into the slot, which needs a third of it. */
struct hand {
	struct ring *ring;
	struct zc *zc;
	struct tree tree;
	void *own;
	char *bound; size_t cap;
};

/* The digest of the member whose frame is next in order. */
struct chain { uint64_t next; bool busy; uint32_t member; struct hash *empty, *member_hash, *so_far; };

struct ring {
	struct slot slot[RING_SLOTS];
	uint64_t head, work, tail, sealed; /* next to fill, to compress, to write; below sealed: may be written */
	struct outfile *out;
	int level, n_workers;
	size_t raw_bytes;                  /* of a usual frame, at most */
	struct hand caller, worker[WORKERS_MAX];
	struct chain chain;
	pthread_t thread[WORKERS_MAX];
	int started;
	bool quit;
	pthread_mutex_t lock;
	pthread_cond_t ready, done;
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
		return err_hint(err, "Nothing was deleted. Free space on the archive's file system or check its disk, then run again.");
	hash_update(o->file_hash, data, len);
	o->offset += len;
	return 0;
}

int outfile_frame(struct outfile *o, const struct frame_row *meta, const void *data, size_t clen, size_t rlen, struct err *err)
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

static void hand_init(struct hand *h, struct ring *r)
{
	*h = (struct hand){.ring = r, .zc = zc_new(r), .own = mem_context(r, "hand")};
	tree_init(&h->tree, hash_new(r));
}

static void room(void *ctx, char **data, size_t *cap, size_t need)
{
	if (*cap >= need)
		return;
	TALLOC_FREE(*data);
	*data = mem_grow(ctx, NULL, char, need);
	*cap = need;
}

static void slot_compress(struct slot *s, struct hand *h)
{
	room(h->own, &h->bound, &h->cap, zc_bound(s->raw.len));
	s->out_len = zc_compress(h->zc, s->level, h->bound, h->cap, s->raw.data, s->raw.len);
	if (s->out_len > s->cap)
		room(s->own, &s->out, &s->cap, s->out_len + s->out_len / 4); /* the next one will not be much larger */
	if (s->out_len)
		memcpy(s->out, h->bound, s->out_len);
	if (h->cap > SLOT_KEEP) {
		TALLOC_FREE(h->bound);
		h->cap = 0;
	}
}

/* Commitments of the rows, and their tree. */
static void slot_root(struct slot *s, struct hand *h)
{
	const char *line = s->raw.data;
	struct digest commit;

	tree_init(&h->tree, h->tree.hash);
	for (size_t i = 0; i < s->n_rows; line += s->row[i++].len) {
		salt_commit(h->tree.hash, s->row[i].salt, line, s->row[i].len - 1, &commit); /* without its newline */
		tree_add(&h->tree, commit.b, DIGEST_BYTES);
	}
	tree_root(&h->tree, &s->meta.root);
}

static void slot_work(struct slot *s, struct hand *h)
{
	if (s->n_rows)
		slot_root(s, h);
	slot_compress(s, h);
}

static void slot_so_far(struct slot *s, struct chain *c)
{
	if (!s->n_rows)
		return;
	if (s->meta.member != c->member)
		hash_copy(c->member_hash, c->empty);
	c->member = s->meta.member;
	hash_update(c->member_hash, s->raw.data, s->raw.len);
	hash_copy(c->so_far, c->member_hash);
	hash_final(c->so_far, &s->meta.so_far);
}

/* With the lock held before and after: all frames that were submitted, unless somebody is at it. */
static void chain_on(struct ring *r)
{
	struct chain *c = &r->chain;

	while (!c->busy && c->next < r->head) {
		c->busy = true;
		pthread_mutex_unlock(&r->lock);
		slot_so_far(&r->slot[c->next % RING_SLOTS], c);
		pthread_mutex_lock(&r->lock);
		c->busy = false;
		c->next++;
	}
}

static void *ring_worker(void *payload)
{
	struct hand *h = payload;
	struct ring *r = h->ring;

	pthread_mutex_lock(&r->lock);
	while (!r->quit) {
		struct slot *s = &r->slot[r->work % RING_SLOTS];
		if (r->work == r->head) {
			pthread_cond_wait(&r->ready, &r->lock);
			continue;
		}
		s->state = SLOT_BUSY;
		r->work++;
		pthread_mutex_unlock(&r->lock);
		slot_work(s, h);
		pthread_mutex_lock(&r->lock);
		s->state = SLOT_DONE;
		chain_on(r);
		pthread_cond_signal(&r->done);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* Threads that cannot be had are done without: the caller compresses then. */
static void ring_start(struct ring *r, int workers)
{
	for (int i = 0; i < workers && i < WORKERS_MAX; i++) {
		hand_init(&r->worker[i], r);
		if (thread_start(&r->thread[i], ring_worker, &r->worker[i]) != 0)
			break;
		r->started++;
	}
}

void ring_stop(struct ring *r)
{
	pthread_mutex_lock(&r->lock);
	r->quit = true;
	pthread_cond_broadcast(&r->ready);
	pthread_mutex_unlock(&r->lock);
	for (; r->started > 0; r->started--)
		pthread_join(r->thread[r->started - 1], NULL);
}

static int ring_free(struct ring *r)
{
	ring_stop(r);
	pthread_cond_destroy(&r->ready);
	pthread_cond_destroy(&r->done);
	pthread_mutex_destroy(&r->lock);
	return 0;
}

struct ring *ring_new(void *ctx, struct outfile *out, size_t raw_bytes, int level, int workers)
{
	struct ring *r = mem_new(ctx, struct ring);

	r->out = out;
	r->level = level;
	r->raw_bytes = raw_bytes;
	hand_init(&r->caller, r);
	r->chain = (struct chain){.member = NO_MEMBER, .empty = hash_new(r), .member_hash = hash_new(r), .so_far = hash_new(r)};
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->ready, NULL);
	pthread_cond_init(&r->done, NULL);
	for (size_t i = 0; i < RING_SLOTS; i++) {
		buf_init(&r->slot[i].raw, r, FRAME_RAW_MAX);
		r->slot[i].own = mem_context(r, "slot");
		r->slot[i].meta.member = NO_MEMBER;
	}
	talloc_set_destructor(r, ring_free);
	ring_start(r, workers);
	return r;
}

struct zc *ring_zc(struct ring *r)
{
	return r->caller.zc;
}

struct buf *slot_raw(struct slot *s)
{
	return &s->raw;
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
		s->row = mem_grow(s->raw.ctx, s->row, struct row, s->cap_rows);
	}
	s->row[s->n_rows++] = (struct row){salt, len};
}

static void slot_clear(struct slot *s)
{
	if (s->raw.cap > SLOT_KEEP || s->cap > SLOT_KEEP) {
		buf_reset(&s->raw);
		TALLOC_FREE(s->out);
		s->cap = 0;
	}
	buf_clear(&s->raw);
	s->n_rows = 0;
	s->head_len = 0;
	s->state = SLOT_FREE;
	s->meta = (struct frame_row){.member = NO_MEMBER};
}

/* The oldest: compressed, and in its member's digest. */
static void tail_wait(struct ring *r)
{
	const struct slot *s = &r->slot[r->tail % RING_SLOTS];

	pthread_mutex_lock(&r->lock);
	while (s->state != SLOT_DONE || r->chain.next <= r->tail)
		pthread_cond_wait(&r->done, &r->lock);
	pthread_mutex_unlock(&r->lock);
}

/* Write the oldest frame. */
static int ring_collect(struct ring *r, struct err *err)
{
	struct slot *s = &r->slot[r->tail % RING_SLOTS];
	int rc = 0;

	tail_wait(r);
	if (s->out_len == 0)
		return err_set(err, ERR_INTERNAL, "zstd could not compress a frame of \"%s\"", r->out->name);
	if (s->head_len)
		rc = outfile_frame(r->out, NULL, s->head, s->head_len, s->head_raw, err);
	if (!rc)
		rc = outfile_frame(r->out, &s->meta, s->out, s->out_len, s->raw.len, err);
	if (rc)
		return rc;
	slot_clear(s);
	r->tail++;
	return 0;
}

int ring_slot(struct ring *r, struct slot **ret, struct err *err)
{
	if (r->head - r->tail == RING_SLOTS) {
		/* Callers seal at the latest after MEMBER_FRAMES frames, so the oldest one is sealed. */
		int rc = ring_collect(r, err);
		if (rc)
			return rc;
	}
	*ret = &r->slot[r->head % RING_SLOTS];
	if (!(*ret)->raw.cap)
		buf_start(&(*ret)->raw, r->raw_bytes);
	return 0;
}

void ring_submit(struct ring *r, int level)
{
	struct slot *s = &r->slot[r->head % RING_SLOTS];

	s->level = level ? level : r->level;
	if (r->started == 0) {
		slot_work(s, &r->caller);
		s->state = SLOT_DONE;
		r->head++;
		pthread_mutex_lock(&r->lock);
		chain_on(r);
		pthread_mutex_unlock(&r->lock);
		return;
	}
	pthread_mutex_lock(&r->lock);
	s->state = SLOT_READY;
	r->head++;
	pthread_cond_signal(&r->ready);
	pthread_mutex_unlock(&r->lock);
}

unsigned ring_unsealed(const struct ring *r)
{
	return (unsigned)(r->head - r->sealed);
}

int ring_seal(struct ring *r, const char *header, size_t len, struct err *err)
{
	struct slot *s = &r->slot[r->sealed % RING_SLOTS];

	if (header) {
		s->head_len = zc_compress(r->caller.zc, r->level, s->head, sizeof(s->head), header, len);
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
