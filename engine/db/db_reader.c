/*
 * db_reader.c - a thread that takes in the pages of a session's cursors.
 *
 * A socket holds less than a page.  Where whoever works on the rows looks at it between two of them, server and caller
 * mostly wait for each other: both processors together did three quarters of what they can.  The session belongs to
 * the thread while a page is under way, and to the caller while it is held; cursors' pages change hands under the lock.
 */
#include <pthread.h>

#include "db_internal.h"

struct db_reader {
	struct db *db;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work, done;
	bool held, quit;  /* of the caller */
	bool at_work;     /* a page is under way */
};

static void *reader_work(void *payload)
{
	struct db_reader *r = payload;
	struct db_cursor *c;

	pthread_mutex_lock(&r->lock);
	while (!r->quit) {
		/* after a stop request only what the caller waits for: such a page would not be cancelled */
		if (r->held || !(c = db_cursor_missing(r->db, stop_requested() != 0))) {
			pthread_cond_wait(&r->work, &r->lock);
			continue;
		}
		db_cursor_prepare(c);
		r->at_work = true;
		pthread_mutex_unlock(&r->lock);
		db_cursor_take(c);
		pthread_mutex_lock(&r->lock);
		r->at_work = false;
		db_cursor_came(c);
		pthread_cond_signal(&r->done);
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

struct db_reader *db_reader_new(struct db *db)
{
	struct db_reader *r = mem_new(NULL, struct db_reader);
	pthread_condattr_t steady;

	r->db = db;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->work, NULL);
	pthread_condattr_init(&steady);
	pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
	pthread_cond_init(&r->done, &steady);
	pthread_condattr_destroy(&steady);
	r->held = true;
	if (thread_start(&r->thread, reader_work, r) == 0)
		return r;
	r->quit = true; /* no thread to wait for */
	db_reader_free(r);
	return NULL;
}

void db_reader_free(struct db_reader *r)
{
	if (!r->quit) {
		db_reader_hold(r, true);
		pthread_mutex_lock(&r->lock);
		r->quit = true;
		pthread_cond_signal(&r->work);
		pthread_mutex_unlock(&r->lock);
		pthread_join(r->thread, NULL);
	}
	pthread_cond_destroy(&r->done);
	pthread_cond_destroy(&r->work);
	pthread_mutex_destroy(&r->lock);
	talloc_free(r);
}

static void wait_a_while(struct db_reader *r)
{
	int64_t until_ms = time_mono_ms() + DB_CANCEL_AGAIN_MS;
	struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};

	(void)pthread_cond_timedwait(&r->done, &r->lock, &until); /* the caller looks what has come */
}

void db_reader_hold(struct db_reader *r, bool cancel)
{
	if (r->held)
		return; /* only the caller changes it */
	pthread_mutex_lock(&r->lock);
	r->held = true;
	while (r->at_work && cancel) { /* a request may come before the statement that it is meant for */
		db_cancel(r->db);
		wait_a_while(r);
	}
	while (r->at_work)
		pthread_cond_wait(&r->done, &r->lock);
	pthread_mutex_unlock(&r->lock);
}

void db_reader_go(struct db_reader *r)
{
	if (!r->held)
		return;
	pthread_mutex_lock(&r->lock);
	r->held = false;
	pthread_cond_signal(&r->work);
	pthread_mutex_unlock(&r->lock);
}

void db_reader_ask(struct db_reader *r, struct db_cursor *c)
{
	pthread_mutex_lock(&r->lock);
	db_cursor_want(c);
	pthread_cond_signal(&r->work);
	pthread_mutex_unlock(&r->lock);
}

bool db_reader_works(struct db_reader *r)
{
	bool works;

	pthread_mutex_lock(&r->lock);
	works = r->at_work;
	pthread_mutex_unlock(&r->lock);
	return works;
}

bool db_reader_page(struct db_reader *r, struct db_cursor *c)
{
	bool came;

	pthread_mutex_lock(&r->lock);
	r->held = false;
	pthread_cond_signal(&r->work);
	while (!(came = db_cursor_turn(c)) && !db_cursor_failed(r->db))
		pthread_cond_wait(&r->done, &r->lock);
	if (came)
		pthread_cond_signal(&r->work); /* for the page after it */
	pthread_mutex_unlock(&r->lock);
	if (!came)
		db_reader_hold(r, false);
	return came;
}
