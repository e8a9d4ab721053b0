/*
 * base_hash_beside.c - SHA-256 by a thread of its own, while its caller makes the next block.
 */
#include <mmretain/base.h>

#include <pthread.h>

enum { BLOCK_BYTES = 64 << 10 };

struct hash_beside {
	struct hash *hash;
	struct buf next;       /* of the caller */
	struct buf block;      /* of the thread while it is full */
	bool full, over;
	bool started;          /* with the first block */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t change; /* of full or over; one waits at a time */
};

static void *work(void *payload)
{
	struct hash_beside *h = payload;

	pthread_mutex_lock(&h->lock);
	for (;;) {
		while (!h->full && !h->over)
			pthread_cond_wait(&h->change, &h->lock);
		if (!h->full)
			break;
		pthread_mutex_unlock(&h->lock);
		hash_update(h->hash, h->block.data, h->block.len);
		pthread_mutex_lock(&h->lock);
		h->full = false;
		pthread_cond_signal(&h->change);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

static void end_thread(struct hash_beside *h)
{
	if (!h->started)
		return;
	pthread_mutex_lock(&h->lock);
	h->over = true;
	pthread_cond_signal(&h->change);
	pthread_mutex_unlock(&h->lock);
	pthread_join(h->thread, NULL); /* after a block that it still has */
	h->started = h->over = false;
}

static int beside_destroy(struct hash_beside *h)
{
	end_thread(h);
	pthread_cond_destroy(&h->change);
	pthread_mutex_destroy(&h->lock);
	return 0;
}

struct hash_beside *hash_beside_new(void *ctx)
{
	struct hash_beside *h = mem_new(ctx, struct hash_beside);

	h->hash = hash_new(h);
	buf_init(&h->next, h, BLOCK_BYTES * 2);
	buf_init(&h->block, h, BLOCK_BYTES * 2);
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->change, NULL);
	talloc_set_destructor(h, beside_destroy);
	return h;
}

static void here(struct hash_beside *h)
{
	hash_update(h->hash, h->next.data, h->next.len);
	buf_clear(&h->next);
}

static void hand_over(struct hash_beside *h)
{
	struct buf free;

	pthread_mutex_lock(&h->lock);
	while (h->full)
		pthread_cond_wait(&h->change, &h->lock);
	free = h->block;
	h->block = h->next;
	h->next = free;
	buf_clear(&h->next);
	h->full = true;
	pthread_cond_signal(&h->change);
	pthread_mutex_unlock(&h->lock);
}

void hash_beside_update(struct hash_beside *h, const void *data, size_t len)
{
	if (h->next.len + len > BLOCK_BYTES * 2) { /* a piece that goes into no block */
		end_thread(h);
		here(h);
		hash_update(h->hash, data, len);
		return;
	}
	buf_put(&h->next, data, len);
	if (h->next.len < BLOCK_BYTES)
		return;
	if (!h->started)
		h->started = thread_start(&h->thread, work, h) == 0;
	if (h->started)
		hand_over(h);
	else
		here(h);
}

void hash_beside_final(struct hash_beside *h, struct digest *ret)
{
	end_thread(h);
	here(h);
	hash_final(h->hash, ret);
}
