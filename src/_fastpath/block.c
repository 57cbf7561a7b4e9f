#include "block.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct block) <= 64 * 1024, "a block with its header fits 64 KiB");

struct block *pool_take(struct pool *pool, uint64_t base)
{
	struct block *block = pool->free;

	if (block != NULL) {
		pool->free = block->next;
		pool->n_free--;
	} else {
		block = malloc(sizeof *block);
		if (block == NULL)
			return NULL;
	}
	pool->n_used++;
	block->next = NULL;
	block->base = base;
	block->start = block->end = 0;
	return block;
}

/* Last freed is first used again: its bytes are still in the processor's cache. */
void pool_give(struct pool *pool, struct block *block)
{
	pool->n_used--;
	if (pool->n_free >= POOL_KEEP) {
		free(block);
		return;
	}
	block->next = pool->free;
	pool->free = block;
	pool->n_free++;
}

void pool_clear(struct pool *pool)
{
	while (pool->free != NULL) {
		struct block *block = pool->free;

		pool->free = block->next;
		free(block);
	}
	pool->n_free = 0;
}

static size_t block_room(const struct block *block)
{
	return block == NULL ? 0 : (size_t)BLOCK_BYTES - block->end;
}

static int chain_grow(struct chain *chain, struct pool *pool)
{
	struct block *block = pool_take(pool, 0);

	if (block == NULL)
		return -ENOMEM;
	if (chain->tail != NULL)
		chain->tail->next = block;
	else
		chain->head = block;
	chain->tail = block;
	return 0;
}

int chain_append(struct chain *chain, struct pool *pool, const uint8_t *data, size_t len)
{
	while (len > 0) {
		size_t part = block_room(chain->tail);

		if (part == 0) {
			if (chain_grow(chain, pool) != 0)
				return -ENOMEM;
			continue;
		}
		if (part > len)
			part = len;
		memcpy(chain->tail->data + chain->tail->end, data, part);
		chain->tail->end += (uint32_t)part;
		chain->length += part;
		data += part;
		len -= part;
	}
	return 0;
}

int chain_vectors(const struct chain *chain, struct iovec *vectors, int max)
{
	int n = 0;

	for (struct block *b = chain->head; b != NULL && n < max; b = b->next) {
		vectors[n].iov_base = b->data + b->start;
		vectors[n].iov_len = b->end - b->start;
		n++;
	}
	return n;
}

void chain_drop(struct chain *chain, struct pool *pool, size_t len)
{
	chain->length -= len;
	while (chain->head != NULL) {
		struct block *block = chain->head;
		size_t held = block->end - block->start;

		if (len < held) {
			block->start += (uint32_t)len;
			return;
		}
		len -= held;
		chain->head = block->next;
		if (chain->head == NULL)
			chain->tail = NULL;
		pool_give(pool, block);
	}
}

void chain_clear(struct chain *chain, struct pool *pool)
{
	chain_drop(chain, pool, chain->length);
}

uint8_t *outbox_reserve(struct outbox *box, struct pool *pool, size_t want, size_t *room)
{
	if (block_room(box->tail) < want) {
		struct block *block = pool_take(pool, box->queued);

		if (block == NULL)
			return NULL;
		if (box->tail != NULL)
			box->tail->next = block;
		else
			box->head = block;
		box->tail = block;
		if (box->cursor == NULL)
			box->cursor = block;
	}
	*room = block_room(box->tail);
	return box->tail->data + box->tail->end;
}

void outbox_commit(struct outbox *box, size_t len)
{
	box->tail->end += (uint32_t)len;
	box->queued += len;
}

int outbox_vectors(const struct outbox *box, struct iovec *vectors, int max)
{
	uint64_t at = box->written;
	int n = 0;

	for (struct block *b = box->cursor; b != NULL && n < max && at < box->queued; b = b->next) {
		size_t skip = (size_t)(at - b->base);
		size_t len = b->end - skip;

		if (len == 0)
			continue;
		vectors[n].iov_base = b->data + skip;
		vectors[n].iov_len = len;
		at += len;
		n++;
	}
	return n;
}

static void outbox_seek(struct outbox *box)
{
	if (box->cursor == NULL)
		box->cursor = box->head;
	while (box->cursor != NULL && box->cursor->next != NULL &&
	       box->written >= box->cursor->next->base)
		box->cursor = box->cursor->next;
}

void outbox_written(struct outbox *box, size_t len)
{
	box->written += len;
	outbox_seek(box);
}

int outbox_acknowledge(struct outbox *box, struct pool *pool, uint64_t offset)
{
	if (offset > box->written)
		return -EPROTO;
	if (offset <= box->acked)
		return 0;
	box->acked = offset;
	while (box->head != NULL && box->head->base + box->head->end <= offset) {
		struct block *block = box->head;

		if (block == box->tail) {
			/* Everything is acknowledged: start the block anew instead of giving it back. */
			block->base = box->queued;
			block->start = block->end = 0;
			break;
		}
		if (box->cursor == block)
			box->cursor = block->next;
		box->head = block->next;
		pool_give(pool, block);
	}
	return 0;
}

int outbox_rewind(struct outbox *box, struct pool *pool, uint64_t offset)
{
	if (offset < box->acked || offset > box->queued)
		return -ERANGE;
	/* What the peer has received may include bytes that a dying carrier took but that we
	 * never saw leave: written can only be ahead of offset, never behind it. */
	if (offset > box->written)
		return -ERANGE;
	(void)outbox_acknowledge(box, pool, offset);
	box->written = offset;
	box->cursor = NULL;
	outbox_seek(box);
	return 0;
}

void outbox_clear(struct outbox *box, struct pool *pool)
{
	while (box->head != NULL) {
		struct block *block = box->head;

		box->head = block->next;
		pool_give(pool, block);
	}
	box->cursor = box->tail = NULL;
}
