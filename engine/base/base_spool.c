/*
 * base_spool.c - fixed-size records in an unnamed work file, with an external merge sort.
 *
 * Memory: one chunk while adding and sorting, the blocks of all runs while merging; both bounded by constants.
 */
#include <mmretain/base.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	CHUNK_BYTES = 4 << 20, /* sorted in memory */
	BLOCK_BYTES = 64 << 10, /* read-ahead of the reader, and per run while merging */
	MERGE_BYTES = 8 << 20,  /* of all runs together, as long as a block is not below the least */
	BLOCK_LEAST_BYTES = 4 << 10,
};

struct run {
	uint64_t next, end; /* record numbers in the file */
	char *block;
	size_t max;         /* records of a block; 0: as many as go into BLOCK_BYTES */
	size_t have, at;    /* records in block */
};

/* A thread that sorts one chunk which is complete, while the next one is added. */
struct helper { pthread_t thread; bool started; atomic_bool done; int rc; struct err err; };

struct spool {
	int fd;
	size_t record;      /* bytes */
	uint64_t count, written;
	char *out;          /* records not yet in the file */
	size_t out_n, out_max;
	struct run reader;
	spool_cmp early;    /* sort by it while records are added, or NULL */
	uint64_t sorted;    /* records at the beginning of the file that are in sorted chunks, or with the helper */
	struct helper helper;
};

static int helper_wait(struct spool *s, struct err *err)
{
	struct helper *h = &s->helper;

	if (!h->started)
		return 0;
	pthread_join(h->thread, NULL);
	h->started = false;
	if (h->rc < 0)
		*err = h->err;
	return h->rc;
}

static int spool_destroy(struct spool *s)
{
	struct err ignored;

	(void)helper_wait(s, &ignored); /* nobody wants the records any more */
	if (s->fd >= 0)
		close(s->fd); /* unnamed: its content is gone with it */
	return 0;
}

int spool_new(void *ctx, size_t record_bytes, struct spool **ret, struct err *err)
{
	struct spool *s = mem_new(ctx, struct spool);
	int rc;

	s->fd = -1;
	s->record = record_bytes;
	s->out_max = BLOCK_BYTES / record_bytes + 1;
	talloc_set_destructor(s, spool_destroy);
	if ((rc = file_temp(NULL, &s->fd, err)) < 0) {
		talloc_free(s);
		return rc;
	}
	s->out = mem_array(s, char, s->out_max * record_bytes);
	*ret = s;
	return 0;
}

/* Records of one sort in memory. */
static size_t chunk_of(const struct spool *s)
{
	return CHUNK_BYTES / s->record + 1;
}

/* Of the file, in place. */
static int sort_chunk(const struct spool *s, char *mem, uint64_t at, size_t n, spool_cmp cmp, struct err *err)
{
	off_t off = (off_t)(at * s->record);
	int rc = file_pread_all(s->fd, mem, n * s->record, off, "work file", err);

	if (rc < 0)
		return rc;
	qsort(mem, n, s->record, cmp);
	return file_temp_write(s->fd, mem, n * s->record, off, err);
}

static void *help(void *payload)
{
	struct spool *s = payload;
	size_t n = chunk_of(s);
	char *mem = mem_array(NULL, char, n * s->record);

	s->helper.rc = sort_chunk(s, mem, s->sorted - n, n, s->early, &s->helper.err);
	talloc_free(mem);
	atomic_store(&s->helper.done, true);
	return NULL;
}

/* The next chunk goes to the helper as soon as it is complete and he has nothing else to do; what he does not come to
 * is left to spool_sort, and so is all of it when there is no thread to be had. */
static int sort_early(struct spool *s, struct err *err)
{
	struct helper *h = &s->helper;
	int rc;

	if (!s->early || s->written - s->sorted < chunk_of(s) || (h->started && !atomic_load(&h->done)))
		return 0;
	if ((rc = helper_wait(s, err)) < 0)
		return rc;
	s->sorted += chunk_of(s);
	atomic_store(&h->done, false);
	h->rc = 0;
	h->started = thread_start(&h->thread, help, s) == 0;
	if (!h->started) {
		s->sorted -= chunk_of(s);
		s->early = NULL;
	}
	return 0;
}

static int flush(struct spool *s, struct err *err)
{
	int rc = 0;

	if (s->out_n) {
		rc = file_temp_write(s->fd, s->out, s->out_n * s->record, (off_t)(s->written * s->record), err);
		s->written += s->out_n;
		s->out_n = 0;
	}
	return rc < 0 ? rc : sort_early(s, err);
}

void spool_sort_early(struct spool *s, spool_cmp cmp)
{
	s->early = cmp;
}

int spool_add(struct spool *s, const void *record, struct err *err)
{
	memcpy(s->out + s->out_n * s->record, record, s->record);
	s->count++;
	if (++s->out_n == s->out_max)
		return flush(s, err);
	return 0;
}

uint64_t spool_count(const struct spool *s)
{
	return s->count;
}

/* Next record of a run, or NULL at its end; *rc < 0 on failure. */
static const void *run_peek(struct spool *s, struct run *r, int *rc, struct err *err)
{
	size_t max = r->max ? r->max : BLOCK_BYTES / s->record + 1, n;

	*rc = 0;
	if (r->at < r->have)
		return r->block + r->at * s->record;
	if (r->next >= r->end)
		return NULL;
	if (!r->block)
		r->block = mem_array(s, char, max * s->record);
	n = r->end - r->next < max ? (size_t)(r->end - r->next) : max;
	*rc = file_pread_all(s->fd, r->block, n * s->record, (off_t)(r->next * s->record), "work file", err);
	if (*rc < 0)
		return NULL;
	r->next += n;
	r->have = n;
	r->at = 0;
	return r->block;
}

int spool_rewind(struct spool *s, struct err *err)
{
	char *block = s->reader.block;
	int rc = flush(s, err);

	s->reader = (struct run){.end = s->count, .block = block};
	return rc < 0 ? rc : helper_wait(s, err);
}

int spool_seek(struct spool *s, uint64_t record, struct err *err)
{
	int rc = spool_rewind(s, err);

	if (rc == 0)
		s->reader.next = record < s->count ? record : s->count;
	return rc;
}

int spool_next(struct spool *s, const void **ret, struct err *err)
{
	int rc;
	const void *p = run_peek(s, &s->reader, &rc, err);

	if (rc < 0)
		return rc;
	if (!p)
		return 0;
	s->reader.at++;
	*ret = p;
	return 1;
}

/* The rest of the file, in place. */
static int sort_chunks(struct spool *s, spool_cmp cmp, struct err *err)
{
	size_t chunk = chunk_of(s);
	uint64_t left = s->count - s->sorted;
	auto_mem char *mem = mem_array(s, char, (left < chunk ? (size_t)left : chunk) * s->record);
	int rc = 0;

	for (uint64_t at = s->sorted; rc == 0 && at < s->count; at += chunk)
		rc = sort_chunk(s, mem, at, s->count - at < chunk ? (size_t)(s->count - at) : chunk, cmp, err);
	return rc < 0 ? rc : helper_wait(s, err);
}

/* ---- merging: a heap of runs by their heads ---- */

struct merge { struct spool *s; spool_cmp cmp; struct run *run; size_t *heap, n; };

static const void *head(const struct merge *m, size_t i)
{
	const struct run *r = &m->run[m->heap[i]];

	return r->block + r->at * m->s->record;
}

/* Equal records in the order of their runs. */
static bool is_before(const struct merge *m, size_t i, size_t k)
{
	int c = m->cmp(head(m, i), head(m, k));

	return c ? c < 0 : m->heap[i] < m->heap[k];
}

static void sink(struct merge *m, size_t i)
{
	for (;;) {
		size_t first = i, least = 2 * i + 1, end = least + 2 < m->n ? least + 2 : m->n;

		for (size_t k = least; k < end; k++)
			if (is_before(m, k, first))
				first = k;
		if (first == i)
			return;
		least = m->heap[i];
		m->heap[i] = m->heap[first];
		m->heap[first] = least;
		i = first;
	}
}

static int merge_begin(struct merge *m, void *ctx, size_t chunk, size_t n_runs, struct err *err)
{
	size_t bytes = MERGE_BYTES / n_runs;
	int rc = 0;

	bytes = bytes > BLOCK_BYTES ? BLOCK_BYTES : bytes < BLOCK_LEAST_BYTES ? BLOCK_LEAST_BYTES : bytes;
	m->run = mem_array(ctx, struct run, n_runs);
	m->heap = mem_array(ctx, size_t, n_runs);
	for (size_t i = 0; i < n_runs && rc == 0; i++) {
		m->run[i] = (struct run){.next = i * chunk,
					 .end = (i + 1) * chunk < m->s->count ? (i + 1) * chunk : m->s->count,
					 .max = bytes / m->s->record + 1};
		if (run_peek(m->s, &m->run[i], &rc, err))
			m->heap[m->n++] = i;
	}
	for (size_t i = m->n / 2; i-- > 0 && rc == 0;)
		sink(m, i);
	return rc;
}

static int merge_next(struct merge *m, struct err *err)
{
	struct run *r = &m->run[m->heap[0]];
	int rc;

	r->at++;
	if (!run_peek(m->s, r, &rc, err))
		m->heap[0] = m->heap[--m->n];
	if (rc == 0 && m->n)
		sink(m, 0);
	return rc;
}

/* Sorted runs into a new file. */
static int merge(struct spool *s, size_t chunk, size_t n_runs, spool_cmp cmp, struct err *err)
{
	struct merge m = {.s = s, .cmp = cmp};
	struct spool *to;
	int rc, fd;

	if ((rc = spool_new(s, s->record, &to, err)) < 0)
		return rc;
	rc = merge_begin(&m, to, chunk, n_runs, err);
	while (rc == 0 && m.n && (rc = spool_add(to, head(&m, 0), err)) == 0)
		rc = merge_next(&m, err);
	if (rc < 0 || (rc = flush(to, err)) < 0)
		return rc;
	for (size_t i = 0; i < n_runs; i++)
		talloc_free(m.run[i].block);
	fd = s->fd;
	s->fd = to->fd;
	to->fd = fd;
	talloc_free(to);
	return 0;
}

int spool_sort(struct spool *s, spool_cmp cmp, struct err *err)
{
	size_t chunk = chunk_of(s);
	size_t n_runs = (size_t)((s->count + chunk - 1) / chunk);
	int rc;

	if ((rc = flush(s, err)) < 0 || s->count == 0)
		return rc < 0 ? rc : spool_rewind(s, err);
	if (cmp != s->early) {
		if ((rc = helper_wait(s, err)) < 0)
			return rc;
		s->sorted = 0;
	}
	if ((rc = sort_chunks(s, cmp, err)) < 0)
		return rc;
	s->early = NULL;
	s->sorted = 0;
	if (n_runs > 1 && (rc = merge(s, chunk, n_runs, cmp, err)) < 0)
		return rc;
	return spool_rewind(s, err);
}
