#include "onward.h"

#include "files.h"

#include <stdlib.h>
#include <string.h>

/* How far from where the last one ended a read may begin: several are under way, in any order. */
enum { NEAR_BYTES = 1 << 18 };
/* An answer that took so much longer than twice the soonest one waited for others. */
#define SLACK_S 0.01

struct piece {
	struct piece *next;       /* of the same file, or of those to be used again */
	struct reading *reading;  /* NULL: nobody wants it any more */
	uint64_t offset;
	size_t got;
	bool is_here;
	double at;                /* asked; then: come */
	unsigned char data[PIECE_BYTES];
};

/* A read of the client's that waits for a piece. */
struct wanted { struct wanted *next; uint32_t id; uint64_t offset; size_t len; };

struct reading {
	struct reading *next;
	uint64_t seen, asked;     /* where the client's reads end, and ours */
	uint64_t run;             /* bytes that were read one after the other */
	size_t window;
	bool has_end;             /* a piece came short */
	double soonest_s;         /* that an answer came, of this run */
	struct piece *first, **last;
	struct wanted *wanted, **wanted_last;
	size_t len;
	unsigned char handle[];
};

struct onward {
	struct relay *relay;
	struct reading *readings;
	struct piece *unused;
	size_t n_pieces;
};

static void *must(void *memory)
{
	if (memory == NULL)
		_Exit(1);
	return memory;
}

struct onward *onward_open(struct relay *r)
{
	struct onward *o = must(calloc(1, sizeof *o));
	o->relay = r;
	return o;
}

static struct reading **find(struct onward *o, struct text handle)
{
	struct reading **at = &o->readings;
	while (*at != NULL && !is_text(handle, (*at)->handle, (*at)->len))
		at = &(*at)->next;
	return at;
}

static void put_away(struct onward *o, struct piece *p)
{
	o->n_pieces--;
	p->next = o->unused;
	o->unused = p;
}

static void drop_first(struct onward *o, struct reading *g)
{
	struct piece *p = g->first;
	if ((g->first = p->next) == NULL)
		g->last = &g->first;
	p->reading = NULL;  /* its answer is still to come, else */
	if (p->is_here)
		put_away(o, p);
}

static void put_read(struct queue *q, const struct reading *g, uint64_t offset, size_t len)
{
	queue_put_u32(q, (uint32_t)g->len);
	queue_put(q, g->handle, g->len);
	queue_put_u32(q, (uint32_t)(offset >> 32));
	queue_put_u32(q, (uint32_t)offset);
	queue_put_u32(q, (uint32_t)len);
}

/* Begin again: who waits asks the pod instead. */
static void reset(struct onward *o, struct reading *g)
{
	struct wanted *w = g->wanted, *next;
	while (g->first != NULL)
		drop_first(o, g);
	g->wanted = NULL;
	g->wanted_last = &g->wanted;
	g->run = 0;
	g->asked = 0;
	g->window = WINDOW_MIN;
	g->has_end = false;
	g->soonest_s = 1e9;
	for (; w != NULL; w = next) {
		struct queue body = { 0 };
		next = w->next;
		put_read(&body, g, w->offset, w->len);
		relay_forward(o->relay, FXP_READ, w->id, body.at, queue_held(&body));
		free(body.at);
		free(w);
	}
}

static void reset_all(struct onward *o)
{
	for (struct reading *g = o->readings; g != NULL; g = g->next)
		reset(o, g);
}

static struct reading *start(struct onward *o, struct text handle, uint64_t offset)
{
	struct reading *g = must(malloc(sizeof *g + handle.len));
    *g = (struct reading){ .next = o->readings, .seen = offset, .len = handle.len };
	g->last = &g->first;
	memcpy(g->handle, handle.at, handle.len);
	reset(o, g);
	return o->readings = g;
}

static void forget(struct onward *o, struct text handle)
{
	struct reading **at = find(o, handle), *g = *at;
	if (g == NULL)
		return;
	reset(o, g);
    *at = g->next;
	free(g);
}

/* ---- ahead of the client ---- */

static void ask(struct onward *o, struct reading *g)
{
	struct piece *p = o->unused;
	if (p == NULL)
		p = must(malloc(sizeof *p));
	else
		o->unused = p->next;
	o->n_pieces++;
	p->next = NULL;
	p->reading = g;
	p->offset = g->asked;
	p->got = 0;
	p->is_here = false;
	p->at = now_s();
    *g->last = p;
	g->last = &p->next;
	struct queue body = { 0 };
	put_read(&body, g, p->offset, PIECE_BYTES);
	relay_ask(o->relay, OURS, FXP_READ, 0, body.at, queue_held(&body))->piece = p;
	free(body.at);
	g->asked += PIECE_BYTES;
}

/* Of files that nobody goes on reading. */
static void reclaim(struct onward *o)
{
	double oldest = now_s() - FRESH_S;
	for (struct reading *g = o->readings; g != NULL; g = g->next)
		if (g->first != NULL && g->wanted == NULL && g->first->is_here && g->first->at < oldest)
			reset(o, g);
}

static void ask_ahead(struct onward *o, struct reading *g)
{
	if (o->n_pieces == PIECES)
		reclaim(o);
	if (g->run < RUN_BYTES || g->has_end || o->relay->lost)
		return;
	if (g->first == NULL)
		g->asked = g->seen;
	while (g->asked < g->seen + g->window && o->n_pieces < PIECES)
		ask(o, g);
}

/* ---- what has come ---- */

enum outcome { SERVED, NOT_YET, NEVER };

/* The piece that the read begins in, if that and all others of it can be told of. */
static enum outcome look(const struct reading *g, uint64_t at, uint64_t end, const struct piece **first)
{
	const struct piece *p = g->first;
	double oldest = now_s() - FRESH_S;
	while (p != NULL && p->offset + PIECE_BYTES <= at)
		p = p->next;
    *first = p;
	if (p == NULL || p->offset > at)
		return NEVER;
	for (; p != NULL; p = p->next) {
		uint64_t whole = p->offset + PIECE_BYTES;
		if (!p->is_here)
			return NOT_YET;
		if (p->at < oldest || p->offset + p->got < (whole < end ? whole : end))
			return NEVER;
		if (whole >= end)
			return SERVED;
	}
	return NEVER;
}

static enum outcome answer(struct onward *o, const struct reading *g, const struct wanted *w)
{
	uint64_t at = w->offset, end = w->offset + w->len;
	const struct piece *p;
	enum outcome outcome = look(g, at, end, &p);
	if (outcome != SERVED)
		return outcome;
	struct queue *to = relay_answer_data(o->relay, w->id, w->len);
	for (; at < end; p = p->next) {
		size_t from = (size_t)(at - p->offset), n = PIECE_BYTES - from;
		if (n > end - at)
			n = (size_t)(end - at);
		queue_put(to, p->data + from, n);
		at += n;
	}
	return SERVED;
}

static void serve(struct onward *o, struct reading *g)
{
	while (g->wanted != NULL) {
		struct wanted *w = g->wanted;
		enum outcome outcome = answer(o, g, w);
		if (outcome == NEVER)
			reset(o, g);
		if (outcome != SERVED)
			return;
		if ((g->wanted = w->next) == NULL)
			g->wanted_last = &g->wanted;
		free(w);
	}
	while (g->first != NULL && g->first->offset + PIECE_BYTES + NEAR_BYTES <= g->seen)
		drop_first(o, g);
}

void onward_fetched(struct onward *o, struct piece *p, uint8_t type, struct cursor body)
{
	struct reading *g = p->reading;
	double now = now_s(), took_s = now - p->at;
	if (g == NULL) {
		put_away(o, p);
		return;
	}
	struct text data = type == FXP_DATA ? take_text(&body) : (struct text){ 0 };
	p->got = data.len < PIECE_BYTES ? data.len : PIECE_BYTES;
	if (p->got > 0)
		memcpy(p->data, data.at, p->got);
	p->is_here = true;
	p->at = now;
	if (took_s < g->soonest_s)
		g->soonest_s = took_s;
	if (p->got < PIECE_BYTES)
		g->has_end = true;
	else if (g->wanted != NULL && took_s < 2 * g->soonest_s + SLACK_S && g->window < WINDOW_MAX)
		g->window += PIECE_BYTES;
	serve(o, g);
	ask_ahead(o, g);
}

void onward_give_up(struct onward *o)
{
	reset_all(o);
}

/* ---- what the client asks ---- */

static bool knows_read(struct onward *o, uint32_t id, struct cursor c)
{
	struct text handle = take_text(&c);
	uint64_t offset = take_u64(&c);
	size_t len = take_u32(&c);
	if (c.broken || len == 0 || len > PACKET_BYTES / 2 || offset > INT64_MAX)
		return false;
	struct reading *g = *find(o, handle);
	if (g == NULL)
		g = start(o, handle, offset);
	if (offset > g->seen + NEAR_BYTES || offset + NEAR_BYTES < g->seen) {
		reset(o, g);
		g->seen = offset;
	}
	if (offset + len > g->seen) {
		g->run += offset + len - g->seen;
		g->seen = offset + len;
	}
	ask_ahead(o, g);
	if (g->first == NULL || offset < g->first->offset || offset + len > g->asked)
		return false;
	struct wanted *w = must(malloc(sizeof *w));
    *w = (struct wanted){ .id = id, .offset = offset, .len = len };
    *g->wanted_last = w;
	g->wanted_last = &w->next;
	serve(o, g);
	return true;
}

bool onward_knows(struct onward *o, uint8_t type, uint32_t id, struct cursor c)
{
	switch (type) {
	case FXP_READ:
		return knows_read(o, id, c);
	case FXP_CLOSE:
		forget(o, take_text(&c));
		return false;
	case FXP_OPEN:
		take_text(&c);
		if (take_u32(&c) == OPEN_READ)
			return false;
		break;
	case FXP_WRITE:
	case FXP_SETSTAT:
	case FXP_FSETSTAT:
	case FXP_EXTENDED:
		break;
	default:
		return false;
	}
	reset_all(o);  /* what may change a file's bytes */
	return false;
}
