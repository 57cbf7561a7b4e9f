#include "wire.h"

#include <stdlib.h>
#include <string.h>

void queue_reserve(struct queue *q, size_t more)
{
	if (q->size - q->end >= more)
		return;
	size_t held = queue_held(q);
	if (q->begin > 0) {
		memmove(q->at, q->at + q->begin, held);
		q->begin = 0;
		q->end = held;
	}
	if (q->size - held >= more)
		return;
	size_t size = (held + more) * 2;
	unsigned char *at = realloc(q->at, size);
	if (at == NULL)
		_Exit(1);
	q->at = at;
	q->size = size;
}

void queue_drop(struct queue *q, size_t n_bytes)
{
	q->begin += n_bytes;
	if (q->begin == q->end)
		q->begin = q->end = 0;
}

void queue_put(struct queue *q, const void *bytes, size_t n_bytes)
{
	if (n_bytes == 0)
		return;
	queue_reserve(q, n_bytes);
	memcpy(q->at + q->end, bytes, n_bytes);
	q->end += n_bytes;
}

void queue_put_u32(struct queue *q, uint32_t value)
{
	unsigned char bytes[4] = { (unsigned char)(value >> 24), (unsigned char)(value >> 16),
							   (unsigned char)(value >> 8), (unsigned char)value };
	queue_put(q, bytes, sizeof bytes);
}

static const unsigned char *take(struct cursor *c, size_t n_bytes)
{
	if (c->left < n_bytes) {
		c->broken = true;
		c->left = 0;
		return NULL;
	}
	const unsigned char *at = c->at;
	c->at += n_bytes;
	c->left -= n_bytes;
	return at;
}

uint32_t take_u32(struct cursor *c)
{
	const unsigned char *at = take(c, 4);
	if (at == NULL)
		return 0;
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

uint64_t take_u64(struct cursor *c)
{
	uint64_t high = take_u32(c);
	return high << 32 | take_u32(c);
}

struct text take_text(struct cursor *c)
{
	static const unsigned char none[1] = { 0 };
	size_t len = take_u32(c);
	const unsigned char *at = take(c, len);
	return at == NULL ? (struct text){ none, 0 } : (struct text){ at, len };
}

bool is_text(struct text text, const void *bytes, size_t n_bytes)
{
	return text.len == n_bytes && (n_bytes == 0 || memcmp(text.at, bytes, n_bytes) == 0);
}

/* Section 5: flags, then what they announce. */
struct attrs take_attrs(struct cursor *c)
{
	struct attrs a = { .bytes = { c->at, c->left } };
	uint32_t flags = take_u32(c);
	if (flags & 1) {
		a.has_size = true;
		a.size = take_u64(c);
	}
	if (flags & 2)
		take_u64(c);
	if (flags & 4) {
		a.has_mode = true;
		a.mode = take_u32(c);
	}
	if (flags & 8)
		take_u64(c);
	if (flags & 0x80000000)
		for (uint32_t n = take_u32(c); n > 0 && !c->broken; n--) {
			take_text(c);
			take_text(c);
		}
	a.bytes.len -= c->left;
	return a;
}
