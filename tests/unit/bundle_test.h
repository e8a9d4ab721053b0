/* bundle_test.h - what the bundle tests share: a folder, kinds, rows out of a seed. */
#ifndef BUNDLE_TEST_H
#define BUNDLE_TEST_H

#include "bundle_internal.h"

#include <check.h>

#define POST_COLUMNS 17
extern const struct bundle_kind test_kinds[3]; /* post, reaction, thread */
#define TEST_KINDS 3

struct box {                     /* a temporary archive root */
	char path[64];
	int root, partial;
	void *ctx;
	struct err err;
};
void box_open(struct box *b);
void box_close(struct box *b);
char *box_read(struct box *b, const char *rel, size_t *ret_len);
void box_write(struct box *b, const char *rel, const void *data, size_t len);

struct plan_of_bundle {
	uint32_t seq;
	int threads, workers;
	size_t frame_bytes;
	bool blobs, names;
	unsigned seed;
	bool parts;
	struct bundle_crew *crew;
};
struct bundle_writer *box_writer(struct box *b, const struct plan_of_bundle *p);
/* Rows, blobs, names. */
struct bundle_writer *box_rows(struct box *b, const struct plan_of_bundle *p);
/* The same, and finish. */
struct bundle_writer *box_bundle(struct box *b, const struct plan_of_bundle *p);
struct receipt *box_publish(struct box *b, const struct plan_of_bundle *p);
/* Every row of the bundle is the row that went in, in order. */
void compare_rows(struct box *b, struct bundle_reader *r, const struct plan_of_bundle *p);
extern const struct bundle_source test_source;

struct rng { uint64_t x; };
uint32_t rng_next(struct rng *r);
/* Random fields of one kind; texts are children of ctx. */
void random_row(void *ctx, struct rng *r, const struct bundle_kind *kind, struct bundle_field *fields);
struct bundle_field text_field(const char *s);

#define must(call)                                                                                                     \
	do {                                                                                                           \
		int must_rc = (call);                                                                                  \
		ck_assert_msg(must_rc == 0, "%s: %d %s", #call, must_rc, b->err.msg);                                  \
	} while (0)

TCase *codec_tests(void);
TCase *damage_tests(void);
TCase *write_tests(void);
TCase *publish_tests(void);
TCase *golden_tests(void);
TCase *times_tests(void);
TCase *erase_tests(void);
TCase *group_tests(void);

#endif
