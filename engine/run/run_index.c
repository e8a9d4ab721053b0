/*
 * run_index.c - published bundles into the catalog.
 *
 * The index is derived data: nothing that deletes reads it, and a failure is no reason to stop.  At full speed an export keeps two processors
 * busy and holds a snapshot, so indexing waits for its end; then a thread of its own does it beside the delete, and whoever has to wait for it
 * helps.  Beside a chat the second processor is missed more than the time, so there it is made in turn.
 */
#include "run_internal.h"

#include <mmretain/catalog.h>

#include <pthread.h>
#include <string.h>

struct job { struct job *next; uint64_t number, posts; char name[128], rel_path[256]; };

struct run_index {
	const struct store *store;
	struct job *first, **last;  /* waiting */
	uint64_t added, busy;       /* numbers: of the last job, of the one that the thread works on or 0 */
	bool held, quit;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work, idle;
};

static void index_one(const struct store *store, const char *rel_path, const char *name, uint64_t posts)
{
	int64_t from = time_mono_us();
	struct err why;

	if (catalog_add_bundle(store, rel_path, &why) < 0)
		log_warn("cannot index %s (%s); `mmretain reindex` tries again, ignoring", name, why.msg);
	run_timing("index", from, posts, name);
}

/* With the lock held. */
static struct job *take(struct run_index *x)
{
	struct job *j = x->first;

	x->first = j->next;
	x->last = x->first ? x->last : &x->first;
	return j;
}

/* With the lock held before and after, not meanwhile. */
static void work_on(struct run_index *x, struct job *j)
{
	pthread_mutex_unlock(&x->lock);
	index_one(x->store, j->rel_path, j->name, j->posts);
	talloc_free(j);
	pthread_mutex_lock(&x->lock);
}

static void *index_worker(void *payload)
{
	struct run_index *x = payload;

	pthread_mutex_lock(&x->lock);
	while (x->first || !x->quit) {
		if (!x->first || x->held) {
			pthread_cond_wait(&x->work, &x->lock);
			continue;
		}
		x->busy = x->first->number;
		work_on(x, take(x));
		x->busy = 0;
		pthread_cond_signal(&x->idle);
	}
	pthread_mutex_unlock(&x->lock);
	return NULL;
}

static int index_free(struct run_index *x)
{
	pthread_mutex_lock(&x->lock);
	x->quit = true;
	x->held = false;
	pthread_cond_signal(&x->work);
	pthread_mutex_unlock(&x->lock);
	pthread_join(x->thread, NULL);
	pthread_cond_destroy(&x->work);
	pthread_cond_destroy(&x->idle);
	pthread_mutex_destroy(&x->lock);
	return 0;
}

/* NULL: a thread cannot be had, and is done without. */
static struct run_index *index_start(struct run *run)
{
	struct run_index *x = mem_new(run->ctx, struct run_index);

	x->store = run->store;
	x->last = &x->first;
	x->held = true;
	pthread_mutex_init(&x->lock, NULL);
	pthread_cond_init(&x->work, NULL);
	pthread_cond_init(&x->idle, NULL);
	if (thread_start(&x->thread, index_worker, x) == 0) {
		talloc_set_destructor(x, index_free);
		return x;
	}
	pthread_cond_destroy(&x->work);
	pthread_cond_destroy(&x->idle);
	pthread_mutex_destroy(&x->lock);
	TALLOC_FREE(x);
	return NULL;
}

/* Of no context: the worker frees it.  NULL: names that are too long. */
static struct job *job_new(const struct receipt *r)
{
	struct job *j = mem_new(NULL, struct job);

	j->posts = receipt_posts(r);
	if (snprintf(j->name, sizeof j->name, "%s", receipt_bundle(r)) < (int)sizeof j->name &&
	    snprintf(j->rel_path, sizeof j->rel_path, "%s", receipt_rel_path(r)) < (int)sizeof j->rel_path)
		return j;
	talloc_free(j);
	return NULL;
}

uint64_t run_index_add(struct run *run, const struct receipt *r)
{
	bool later = run_alone(run);
	uint64_t number;
	struct job *j;

	if (receipt_waived(r))
		return 0;
	if (later && !run->index)
		run->index = index_start(run);
	if (!later || !run->index || !(j = job_new(r))) {
		index_one(run->store, receipt_rel_path(r), receipt_bundle(r), receipt_posts(r));
		return 0;
	}
	pthread_mutex_lock(&run->index->lock);
	*run->index->last = j;
	run->index->last = &j->next;
	number = j->number = ++run->index->added;
	pthread_cond_signal(&run->index->work);
	pthread_mutex_unlock(&run->index->lock);
	return number;
}

void run_index_hold(struct run *run)
{
	struct run_index *x = run->index;

	if (!x)
		return;
	pthread_mutex_lock(&x->lock);
	x->held = true;
	pthread_mutex_unlock(&x->lock);
}

void run_index_wait(struct run *run, uint64_t number)
{
	struct run_index *x = run->index;

	if (!x)
		return;
	pthread_mutex_lock(&x->lock);
	x->held = false;
	pthread_cond_signal(&x->work);
	for (;;) {
		if (x->first && x->first->number <= number)
			work_on(x, take(x));
		else if (x->busy && x->busy <= number)
			pthread_cond_wait(&x->idle, &x->lock);
		else
			break;
	}
	pthread_mutex_unlock(&x->lock);
}
