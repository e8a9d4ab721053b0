/*
 * bundle_ahead.c - the frames of a bundle in order, read and decompressed ahead by threads.
 *
 * What one frame costs most, its decompression and the digests of its rows, needs no other frame.  Workers and the
 * caller take frames from a window behind the one that the caller wants next; the results do not depend on the number
 * of workers, and the first damage in the file is the first that is told.
 */
#include "bundle_internal.h"

#include <pthread.h>

#define WORKERS_MAX 3
#define AHEAD_PER_THREAD 2u
#define LARGE_FRAME_BYTES                                                                                              \
	(8u << 20) /* read only when its turn has come: a window full of them would take too much memory */
#define SLOT_KEEP_BYTES (1u << 20)   /* larger buffers are given back */

struct slot { struct ahead_frame frame; int rc; struct err err; bool done; };
struct hand { struct ahead *ahead; struct zd *zd; struct row_check check; }; /* what one thread works with */

struct ahead {
	const struct bundle_reader *reader;
	const struct row_rules *rules;
	struct slot *slot; size_t window;
	size_t next, claimed;        /* frame that the caller has or waits for; first frame that nobody has taken */
	bool given;                  /* it has it */
	size_t tsv;                  /* of the reader's frame table, for claimed */
	struct hand *hand;           /* [0]: the caller's */
	pthread_t thread[WORKERS_MAX];
	int started;
	bool quit;
	pthread_mutex_t lock;
	pthread_cond_t room, done;
};

/* Rows are checked where frames.tsv says that rows are; the walk over the headers sees whether it told the truth. */
static bool next_is_rows(struct ahead *a, size_t i)
{
	const struct bundle_reader *r = a->reader;

	while (a->tsv < r->n_frames && r->frame[a->tsv].no < i)
		a->tsv++;
	return a->tsv < r->n_frames && r->frame[a->tsv].no == i && is_row_member(r->frame[a->tsv].member);
}

static void work(struct hand *h, struct slot *s, size_t i, bool rows)
{
	struct ahead *a = h->ahead;
	struct ahead_frame *f = &s->frame;

	err_clear(&s->err);
	row_sum_clear(&f->sum, a->rules);
	s->rc = frame_load(a->reader, i, h->zd, &f->comp, &f->raw, &s->err);
	if (s->rc || !rows)
		return;
	s->rc = rows_frame(&h->check, f->raw.data, f->raw.len, &f->sum, &f->root, &s->err);
	if (s->rc)
		(void)err_prefix(&s->err, "\"%s\" is damaged: frame %zu", a->reader->name, i);
}

/* With the lock held: takes a frame and works on it without the lock. false: there is none to take now. */
static bool work_one(struct ahead *a, struct hand *h)
{
	size_t i = a->claimed;

	if (i >= a->reader->n_pos || i >= a->next + a->window ||
	    (i > a->next && a->reader->pos[i].rlen > LARGE_FRAME_BYTES))
		return false;
	struct slot *s = &a->slot[i % a->window];
	bool rows = next_is_rows(a, i);
	a->claimed++;
	pthread_mutex_unlock(&a->lock);
	work(h, s, i, rows);
	pthread_mutex_lock(&a->lock);
	s->done = true;
	pthread_cond_signal(&a->done);
	return true;
}

static void *ahead_worker(void *payload)
{
	struct hand *h = payload;
	struct ahead *a = h->ahead;

	pthread_mutex_lock(&a->lock);
	while (!a->quit)
		if (!work_one(a, h))
			pthread_cond_wait(&a->room, &a->lock);
	pthread_mutex_unlock(&a->lock);
	return NULL;
}

static int ahead_free(struct ahead *a)
{
	pthread_mutex_lock(&a->lock);
	a->quit = true;
	pthread_cond_broadcast(&a->room);
	pthread_mutex_unlock(&a->lock);
	for (; a->started > 0; a->started--)
		pthread_join(a->thread[a->started - 1], NULL);
	pthread_cond_destroy(&a->room);
	pthread_cond_destroy(&a->done);
	pthread_mutex_destroy(&a->lock);
	return 0;
}

/* Threads that cannot be had are done without. */
static void ahead_start(struct ahead *a, int workers)
{
	while (a->started < workers &&
	       thread_start(&a->thread[a->started], ahead_worker, &a->hand[a->started + 1]) == 0)
		a->started++;
}

struct ahead *ahead_new(void *ctx, const struct bundle_reader *r, const struct row_rules *rules, int workers)
{
	struct ahead *a = mem_new(ctx, struct ahead);
	int hands = 1 + (workers < 0 ? 0 : workers > WORKERS_MAX ? WORKERS_MAX : workers);

	a->reader = r;
	a->rules = rules;
	/* One frame is with the caller.  Alone, it takes frames one by one. */
	a->window = hands == 1 ? 1 : (size_t)hands * AHEAD_PER_THREAD;
	a->slot = mem_array(a, struct slot, a->window + 1);
	for (size_t i = 0; i < a->window; i++) {
		/* its buffers grow in whichever thread works on it: nothing else hangs there */
		void *own = mem_context(a, "slot");
		buf_init(&a->slot[i].frame.comp, own, FRAME_COMP_MAX);
		buf_init(&a->slot[i].frame.raw, own, FRAME_RAW_MAX + 1);
		row_sum_init(&a->slot[i].frame.sum, own, rules);
	}
	a->hand = mem_array(a, struct hand, (size_t)hands);
	for (int i = 0; i < hands; i++) {
		a->hand[i] = (struct hand){.ahead = a, .zd = zd_new(a)};
		row_check_init(&a->hand[i].check, a, rules);
	}
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->room, NULL);
	pthread_cond_init(&a->done, NULL);
	talloc_set_destructor(a, ahead_free);
	ahead_start(a, hands - 1);
	return a;
}

/* The slot that the caller had comes back into the window. */
static void give_back(struct ahead *a)
{
	struct slot *s = &a->slot[a->next % a->window];

	if (s->frame.raw.cap > SLOT_KEEP_BYTES || s->frame.comp.cap > SLOT_KEEP_BYTES) {
		buf_reset(&s->frame.comp);
		buf_reset(&s->frame.raw);
	}
	s->done = false;
	a->next++;
	a->given = false;
	pthread_cond_broadcast(&a->room);
}

int ahead_next(struct ahead *a, const struct ahead_frame **ret, struct err *err)
{
	pthread_mutex_lock(&a->lock);
	if (a->given)
		give_back(a);
	struct slot *s = &a->slot[a->next % a->window];
	while (!s->done)
		if (!work_one(a, &a->hand[0]))
			pthread_cond_wait(&a->done, &a->lock);
	a->given = true;
	pthread_mutex_unlock(&a->lock);
	*ret = &s->frame;
	if (s->rc)
		*err = s->err;
	return s->rc;
}
