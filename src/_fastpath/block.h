/* Fixed-size blocks, and the two queues of bytes that are made of them.
 *
 * Called by: tunnel.c (outbox), link.c (chain), pump_copy.c (a block).
 * Owns: the blocks; a pool keeps a few free ones so that no chunk is allocated.
 * Never: touches a file descriptor. */
#ifndef TELEPRESENCE_BLOCK_H
#define TELEPRESENCE_BLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum {
	BLOCK_BYTES = 64 * 1024 - 32, /* one read(2) of a busy socket; with its header 64 KiB */
	POOL_KEEP = 64,		      /* free blocks kept: 4 MiB */
};

struct block {
	struct block *next;
	uint64_t base; /* offset of data[0] in the queue's whole life */
	uint32_t start, end;
	uint8_t data[BLOCK_BYTES];
};

struct pool {
	struct block *free;
	size_t n_free, n_used;
};

/* An empty block, or NULL: no memory. */
struct block *pool_take(struct pool *pool, uint64_t base);
void pool_give(struct pool *pool, struct block *block);
void pool_clear(struct pool *pool);

/* First in, first out; for bytes that a socket did not take yet. */
struct chain {
	struct block *head, *tail;
	size_t length;
};

/* 0 or -ENOMEM (nothing appended). */
int chain_append(struct chain *chain, struct pool *pool, const uint8_t *data, size_t len);
/* Fill up to `max` vectors with the oldest bytes; returns how many. */
int chain_vectors(const struct chain *chain, struct iovec *vectors, int max);
void chain_drop(struct chain *chain, struct pool *pool, size_t len);
void chain_clear(struct chain *chain, struct pool *pool);

/* What a carrier sends, kept until the peer has acknowledged it, so that it can be replayed on
 * another carrier.  Offsets count from the start of the tunnel: acked <= written <= queued. */
struct outbox {
	struct block *head, *cursor, *tail;
	uint64_t acked, written, queued;
};

/* At least `want` (<= BLOCK_BYTES) contiguous bytes at the end, `*room` in all; NULL: no memory. */
uint8_t *outbox_reserve(struct outbox *box, struct pool *pool, size_t want, size_t *room);
/* The first `len` bytes of the reserved room are filled. */
void outbox_commit(struct outbox *box, size_t len);
int outbox_vectors(const struct outbox *box, struct iovec *vectors, int max);
void outbox_written(struct outbox *box, size_t len);
/* 0, or -EPROTO when `offset` was never queued. */
int outbox_acknowledge(struct outbox *box, struct pool *pool, uint64_t offset);
/* Write again from `offset`: 0, or -ERANGE when that is gone or was never queued. */
int outbox_rewind(struct outbox *box, struct pool *pool, uint64_t offset);
void outbox_clear(struct outbox *box, struct pool *pool);

#endif
