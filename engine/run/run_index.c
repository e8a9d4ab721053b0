/*
 * run_index.c - published bundles into the catalog.
 *
 * The index is derived data: nothing that deletes reads it, and a failure is no reason to stop.  An export holds a
 * snapshot, and at full speed keeps two processors busy, so indexing waits for its end.  Then whoever has to wait for a
 * bundle does it, small bundles several at once; at full speed a thread of its own too, beside the delete.  Beside a
 * chat the second processor is missed more than the time.
 */
#include "run_internal.h"

#include <mmretain/catalog.h>

#include <pthread.h>

/* what the catalog takes in at once; who deletes waits for all of them */
enum { GROUP_JOBS = 32, GROUP_POSTS = 20000 };

struct job { struct job *next; uint64_t number, posts; char *name, *rel_path; };

struct run_index {
	const struct store *store;
	struct job *first, **last;  /* waiting */
	uint64_t added, busy;       /* numbers: of the last job, of the first that the thread works on or 0 */
	bool held, quit, threaded;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work, idle;
};

static void tell_failed(void *payload, const char *rel_path, const struct err *why)
{
	(void)payload;
	log_warn("cannot index %s (%s); `mmretain reindex` tries again, ignoring", rel_path, why->msg);
}

static void index_jobs(const struct store *store, const struct job *first)
{
	const char *rel_path[GROUP_JOBS];
	int64_t from = time_mono_us();
	uint64_t posts = 0;
	struct err why;
	size_t n = 0;

	for (const struct job *j = first; j; j = j->next) {
		rel_path[n++] = j->rel_path;
		posts += j->posts;
	}
	if (store_check_place(store, &why) < 0 || catalog_add_bundles(store, rel_path, n, tell_failed, NULL, &why) < 0)
		log_warn("cannot enter %zu bundle%s into the catalog (%s); `mmretain reindex` tries again, ignoring", n,
			 n == 1 ? "" : "s", why.msg);
	run_timing("index", from, posts, first->name);
}

/* With the lock held: as many as the catalog takes at once. */
static struct job *take(struct run_index *x)
{
	struct job *first = x->first, *last = first;
	uint64_t posts = first->posts;

	for (size_t n = 1; n < GROUP_JOBS && last->next && (posts += last->next->posts) <= GROUP_POSTS; n++)
		last = last->next;
	x->first = last->next;
	x->last = x->first ? x->last : &x->first;
	last->next = NULL;
	return first;
}

static size_t free_jobs(struct job *first)
{
	size_t n = 0;

	for (struct job *j = first, *next; j; j = next, n++) {
		next = j->next;
		talloc_free(j);
	}
	return n;
}

/* With the lock held.  A stop does not wait for an index. */
static void give_up(struct run_index *x)
{
	size_t n = free_jobs(x->first);

	x->first = NULL;
	x->last = &x->first;
	log_warn("%zu bundle%s published and not indexed; `mmretain reindex` does that", n, n == 1 ? " is" : "s are");
}

/* With the lock held before and after, not meanwhile. */
static void work_on(struct run_index *x, struct job *first)
{
	pthread_mutex_unlock(&x->lock);
	index_jobs(x->store, first);
	(void)free_jobs(first);
	pthread_mutex_lock(&x->lock);
}

/* With the lock held before and after: the next ones, if there are any. */
static bool work_on_next(struct run_index *x)
{
	if (x->first && stop_requested())
		give_up(x);
	if (!x->first)
		return false;
	work_on(x, take(x));
	return true;
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
		(void)work_on_next(x);
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
	if (x->threaded)
		pthread_join(x->thread, NULL);
	pthread_mutex_lock(&x->lock);
	while (work_on_next(x)) /* of a run that fails: they are published */
		;
	pthread_mutex_unlock(&x->lock);
	pthread_cond_destroy(&x->work);
	pthread_cond_destroy(&x->idle);
	pthread_mutex_destroy(&x->lock);
	return 0;
}

static struct run_index *index_new(struct run *run)
{
	struct run_index *x = mem_new(run->ctx, struct run_index);

	x->store = run->store;
	x->last = &x->first;
	x->held = true;
	pthread_mutex_init(&x->lock, NULL);
	pthread_cond_init(&x->work, NULL);
	pthread_cond_init(&x->idle, NULL);
	/* none can be had: done without */
	x->threaded = run_alone(run) && thread_start(&x->thread, index_worker, x) == 0;
	talloc_set_destructor(x, index_free);
	return x;
}

/* Of no context: who works on it frees it. */
static struct job *job_new(const struct receipt *r)
{
	struct job *j = mem_new(NULL, struct job);

	j->posts = receipt_posts(r);
	j->name = mem_strdup(j, receipt_bundle(r));
	j->rel_path = mem_strdup(j, receipt_rel_path(r));
	return j;
}

uint64_t run_index_add(struct run *run, const struct receipt *r)
{
	struct run_index *x;
	uint64_t number;
	struct job *j;

	if (receipt_waived(r))
		return 0;
	if (!run->index)
		run->index = index_new(run);
	x = run->index;
	j = job_new(r);
	pthread_mutex_lock(&x->lock);
	*x->last = j;
	x->last = &j->next;
	number = j->number = ++x->added;
	pthread_cond_signal(&x->work);
	pthread_mutex_unlock(&x->lock);
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
			(void)work_on_next(x);
		else if (x->busy && x->busy <= number)
			pthread_cond_wait(&x->idle, &x->lock);
		else
			break;
	}
	pthread_mutex_unlock(&x->lock);
}
