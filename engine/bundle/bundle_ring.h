/*
 * bundle_ring.h - what the ring of one bundle and the crew of several share.
 */
#ifndef BUNDLE_RING_H
#define BUNDLE_RING_H

#include "bundle_internal.h"

#define RING_SLOTS 20u           /* MEMBER_FRAMES, and some for the workers to do meanwhile */
#define RAWS_SPARE 5u            /* frames that are filled or wait for a worker, of all bundles of a crew */
#define SLOT_KEEP (1u << 20)     /* buffers larger than this are given back */
#define WORKERS_MAX 16

enum slot_state { SLOT_FREE, SLOT_READY, SLOT_BUSY, SLOT_DONE };

struct row { const uint8_t *salt; size_t len; };

/* What a frame holds before it is compressed, which is four times what it holds afterwards: a slot has one until it is
 * compressed and hashed. */
struct raw { struct raw *next; struct buf buf; };

/* One frame under way.  At each time one thread has it, and all that grows in it hangs on it alone. */
struct slot {
	struct slot *next;                          /* in a list of the crew */
	struct ring *ring;                          /* of a filled one */
	struct raw *raw; size_t raw_len;
	bool chained;                               /* its member's digest has it */
	struct row *row; size_t n_rows, cap_rows;
	char *out; size_t cap, out_len;
	char head[2560]; size_t head_len, head_raw; /* compressed tar header, first frame of a member */
	int level;
	enum slot_state state;
	struct frame_row meta;
};

/* Who compresses: into a buffer that is large enough for anything, from there into the slot, which needs a third of it.
 */
struct hand {
	struct zc *zc;
	struct tree tree;
	char *bound; size_t cap;
};

/* Commitments of the rows, their tree, and the compressed frame. */
void slot_work(struct slot *s, struct hand *h);

/* Empty slots and hands, of other bundles before or new. */
struct slot *crew_slot(struct bundle_crew *c);
void crew_slot_back(struct bundle_crew *c, struct slot *s);
/* One for a slot: waits until a worker has no more use for one.  Each caller holds one at most, so some are with the
 * workers. */
struct raw *crew_raw(struct bundle_crew *c, size_t raw_bytes);
/* With the lock held. */
void crew_raw_back(struct bundle_crew *c, struct slot *s);
struct hand *crew_hand(struct bundle_crew *c);
void crew_hand_back(struct bundle_crew *c, struct hand *h);

/* The state of slots and of chains is read and written with this lock held. */
pthread_mutex_t *crew_lock(struct bundle_crew *c);
bool crew_works(const struct bundle_crew *c); /* it has threads */
/* The folder below the archive root whose folders above this crew made durable last: none of its bundles needs that
 * again. */
bool crew_has_settled(struct bundle_crew *c, const char *folder);
void crew_settled(struct bundle_crew *c, const char *folder);
/* With the lock held: a filled slot for the next worker who is free; he tells its ring. */
void crew_give(struct bundle_crew *c, struct slot *s);
void ring_done(struct slot *s);

#endif
