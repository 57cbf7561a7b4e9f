#include "cutter.h"

#include <stdbool.h>
#include <string.h>

enum { VECTORS = 2 }; /* the longest message: its beginning is that of a block */

void cutter_length(uint8_t head[static CUTTER_LENGTH], size_t len)
{
	head[0] = (uint8_t)(len >> 8);
	head[1] = (uint8_t)len;
}

static size_t length_of(const uint8_t *head)
{
	return (size_t)head[0] << 8 | head[1];
}

/* How many bytes the message that is held still lacks, as far as can be told: its length first. */
static size_t lacking(const struct cutter *cutter)
{
	const struct block *block = cutter->held.head;
	size_t want = CUTTER_LENGTH;

	if (cutter->held.length >= CUTTER_LENGTH)
		want += length_of(block->data + block->start);
	return want - cutter->held.length;
}

static void put_together(struct cutter *cutter, struct pool *pool, uint8_t *whole, struct cut *cut)
{
	struct iovec vectors[VECTORS];

	chain_drop(&cutter->held, pool, CUTTER_LENGTH);
	cut->len = cutter->held.length;
	cut->message = whole;
	for (int i = 0, n = chain_vectors(&cutter->held, vectors, VECTORS); i < n; i++) {
		memcpy(whole, vectors[i].iov_base, vectors[i].iov_len);
		whole += vectors[i].iov_len;
	}
	chain_clear(&cutter->held, pool);
}

/* The longest step is to the end of the length, or of the message. */
static ssize_t take_piece(struct cutter *cutter, struct pool *pool, const uint8_t *data, size_t len,
			  uint8_t *whole, struct cut *cut)
{
	size_t part = lacking(cutter);
	bool last = cutter->held.length >= CUTTER_LENGTH;
	int rc;

	if (part > len) {
		part = len;
		last = false;
	}
	rc = chain_append(&cutter->held, pool, data, part);
	if (rc != 0)
		return rc;
	if (last || (cutter->held.length == CUTTER_LENGTH && lacking(cutter) == 0))
		put_together(cutter, pool, whole, cut);
	return (ssize_t)part;
}

ssize_t cutter_take(struct cutter *cutter, struct pool *pool, const uint8_t *data, size_t len,
		    uint8_t *whole, struct cut *cut)
{
	size_t eaten = 0;

	*cut = (struct cut){NULL, 0};
	if (cutter->held.length == 0 && len >= CUTTER_LENGTH &&
	    len - CUTTER_LENGTH >= length_of(data)) {
		*cut = (struct cut){data + CUTTER_LENGTH, length_of(data)};
		return (ssize_t)(CUTTER_LENGTH + cut->len);
	}
	while (cut->message == NULL && eaten < len) {
		ssize_t part = take_piece(cutter, pool, data + eaten, len - eaten, whole, cut);

		if (part < 0)
			return part;
		eaten += (size_t)part;
	}
	return (ssize_t)eaten;
}

void cutter_clear(struct cutter *cutter, struct pool *pool)
{
	chain_clear(&cutter->held, pool);
}
