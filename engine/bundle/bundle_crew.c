/*
 * bundle_crew.c - who compresses and hashes frames, and the memory for it, for several bundles in turn.
 *
 * A bundle may be written while the one before it is finished: frames of both wait in one queue, oldest first.  Slots
 * and zstd's tables go from bundle to bundle: made anew for each of many small ones they would cost more than the
 * compression.
 */
#include "bundle_ring.h"

#include <string.h>

#define SLOTS_KEPT RING_SLOTS
#define HANDS_KEPT 2u            /* of the callers: one writes, one finishes */

struct bundle_crew {
	pthread_mutex_t lock;
	pthread_cond_t ready;
	struct slot *first, *last;         /* filled */
	struct slot *idle; unsigned n_idle;
	pthread_cond_t raw_back;
	struct raw *idle_raw; unsigned n_raws; /* all there are */
	struct hand *hand[HANDS_KEPT]; unsigned n_hands;
	pthread_t thread[WORKERS_MAX];
	int started;
	bool quit;
	char *settled;                     /* NULL: none yet */
};

/* ---- what is done to a frame ---- */

static struct hand *hand_new(void)
{
	struct hand *h = mem_new(NULL, struct hand);

	h->zc = zc_new(h);
	tree_init(&h->tree, hash_new(h));
	return h;
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
	room(h, &h->bound, &h->cap, zc_bound(s->raw_len));
	s->out_len = zc_compress(h->zc, s->level, h->bound, h->cap, s->raw->buf.data, s->raw_len);
	if (s->out_len > s->cap)
		room(s, &s->out, &s->cap, s->out_len + s->out_len / 4); /* the next one will not be much larger */
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
	const char *line = s->raw->buf.data;
	struct digest commit;

	tree_init(&h->tree, h->tree.hash);
	for (size_t i = 0; i < s->n_rows; line += s->row[i++].len) {
		salt_commit(h->tree.hash, s->row[i].salt, line, s->row[i].len - 1, &commit); /* without its newline */
		tree_add(&h->tree, commit.b, DIGEST_BYTES);
	}
	tree_root(&h->tree, &s->meta.root);
}

void slot_work(struct slot *s, struct hand *h)
{
	if (s->n_rows)
		slot_root(s, h);
	slot_compress(s, h);
}

/* ---- slots ---- */

struct slot *crew_slot(struct bundle_crew *c)
{
	struct slot *s;

	pthread_mutex_lock(&c->lock);
	if ((s = c->idle)) {
		c->idle = s->next;
		c->n_idle--;
	}
	pthread_mutex_unlock(&c->lock);
	if (!s) {
		s = mem_new(NULL, struct slot);
		s->meta.member = NO_MEMBER;
	}
	return s;
}

static void slot_clear(struct slot *s)
{
	if (s->cap > SLOT_KEEP) {
		TALLOC_FREE(s->out);
		s->cap = 0;
	}
	s->chained = false;
	s->n_rows = 0;
	s->head_len = 0;
	s->state = SLOT_FREE;
	s->meta = (struct frame_row){.member = NO_MEMBER};
}

void crew_slot_back(struct bundle_crew *c, struct slot *s)
{
	slot_clear(s);
	pthread_mutex_lock(&c->lock);
	crew_raw_back(c, s);
	if (c->n_idle < SLOTS_KEPT) {
		s->next = c->idle;
		c->idle = s;
		c->n_idle++;
		s = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	talloc_free(s);
}

static struct raw *raw_new(void)
{
	struct raw *raw = mem_new(NULL, struct raw);

	buf_init(&raw->buf, raw, FRAME_RAW_MAX);
	return raw;
}

struct raw *crew_raw(struct bundle_crew *c, size_t raw_bytes)
{
	struct raw *raw;

	pthread_mutex_lock(&c->lock);
	while (!c->idle_raw && c->n_raws >= RAWS_SPARE + (unsigned)c->started)
		pthread_cond_wait(&c->raw_back, &c->lock);
	if ((raw = c->idle_raw))
		c->idle_raw = raw->next;
	else
		c->n_raws++;
	pthread_mutex_unlock(&c->lock);
	if (!raw)
		raw = raw_new();
	if (!raw->buf.cap)
		buf_start(&raw->buf, raw_bytes);
	return raw;
}

void crew_raw_back(struct bundle_crew *c, struct slot *s)
{
	struct raw *raw = s->raw;

	if (!raw)
		return;
	s->raw = NULL;
	if (raw->buf.cap > SLOT_KEEP)
		buf_reset(&raw->buf);
	buf_clear(&raw->buf);
	raw->next = c->idle_raw;
	c->idle_raw = raw;
	pthread_cond_signal(&c->raw_back);
}

struct hand *crew_hand(struct bundle_crew *c)
{
	struct hand *h = NULL;

	pthread_mutex_lock(&c->lock);
	if (c->n_hands)
		h = c->hand[--c->n_hands];
	pthread_mutex_unlock(&c->lock);
	return h ? h : hand_new();
}

void crew_hand_back(struct bundle_crew *c, struct hand *h)
{
	pthread_mutex_lock(&c->lock);
	if (c->n_hands < HANDS_KEPT) {
		c->hand[c->n_hands++] = h;
		h = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	talloc_free(h);
}

/* ---- the queue ---- */

pthread_mutex_t *crew_lock(struct bundle_crew *c)
{
	return &c->lock;
}

bool crew_works(const struct bundle_crew *c)
{
	return c->started > 0;
}

/* Bundles of one crew are published one after the other, by one thread at a time. */
bool crew_has_settled(struct bundle_crew *c, const char *folder)
{
	return c->settled && strcmp(c->settled, folder) == 0;
}

void crew_settled(struct bundle_crew *c, const char *folder)
{
	talloc_free(c->settled);
	c->settled = mem_strdup(c, folder);
}

void crew_give(struct bundle_crew *c, struct slot *s)
{
	s->state = SLOT_READY;
	s->next = NULL;
	*(c->first ? &c->last->next : &c->first) = s;
	c->last = s;
	pthread_cond_signal(&c->ready);
}

static struct slot *take(struct bundle_crew *c)
{
	struct slot *s = c->first;

	if (s) {
		c->first = s->next;
		s->state = SLOT_BUSY;
	}
	return s;
}

static void *crew_worker(void *payload)
{
	struct bundle_crew *c = payload;
	struct hand *h = crew_hand(c);
	struct slot *s;

	pthread_mutex_lock(&c->lock);
	while (!c->quit) {
		if (!(s = take(c))) {
			pthread_cond_wait(&c->ready, &c->lock);
			continue;
		}
		pthread_mutex_unlock(&c->lock);
		slot_work(s, h);
		pthread_mutex_lock(&c->lock);
		ring_done(s);
	}
	pthread_mutex_unlock(&c->lock);
	talloc_free(h);
	return NULL;
}

static int crew_free(struct bundle_crew *c)
{
	pthread_mutex_lock(&c->lock);
	c->quit = true;
	pthread_cond_broadcast(&c->ready);
	pthread_mutex_unlock(&c->lock);
	while (c->started > 0)
		pthread_join(c->thread[--c->started], NULL);
	for (struct slot *s = c->idle, *next; s; s = next) {
		next = s->next;
		talloc_free(s);
	}
	for (struct raw *raw = c->idle_raw, *next; raw; raw = next) {
		next = raw->next;
		talloc_free(raw);
	}
	while (c->n_hands)
		talloc_free(c->hand[--c->n_hands]);
	pthread_cond_destroy(&c->raw_back);
	pthread_cond_destroy(&c->ready);
	pthread_mutex_destroy(&c->lock);
	return 0;
}

/* Threads that cannot be had are done without: the caller compresses then. */
struct bundle_crew *bundle_crew_new(void *ctx, int workers)
{
	struct bundle_crew *c = mem_new(ctx, struct bundle_crew);

	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->ready, NULL);
	pthread_cond_init(&c->raw_back, NULL);
	talloc_set_destructor(c, crew_free);
	while (c->started < workers && c->started < WORKERS_MAX &&
	       thread_start(&c->thread[c->started], crew_worker, c) == 0)
		c->started++;
	return c;
}
