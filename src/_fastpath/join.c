#include "join.h"

#include <errno.h>
#include <string.h>

#include "end.h"
#include "tunnel.h"

enum {
	READ_MIN = 4096, /* a smaller rest of a block is left unused */
	VECTORS = 8,
};

struct joined {
	struct end end; /* first */
	struct joined *other;
	struct chain inbox; /* from our peer, for the other's */
	bool fin_passed;    /* of our peer, to the other's */
};

static void joined_reset(struct end *end)
{
	struct joined *joined = (struct joined *)end;
	struct joined *other = joined->other;

	chain_clear(&joined->inbox, &end->tunnel->engine->pool);
	chain_clear(&other->inbox, &end->tunnel->engine->pool);
	end_reset(&other->end);
	end_reset(end);
}

/* Room for a frame of at most `len` bytes towards the other's peer; NULL: not now, or no memory. */
static uint8_t *frame_room(struct joined *to, size_t *len, bool *failed)
{
	struct tunnel *tunnel = to->end.tunnel;
	size_t room;
	uint8_t *at;

	*failed = false;
	if (to->end.stream->send_window == 0)
		return NULL; /* credit brings it back */
	if (tunnel_full(tunnel)) {
		if (list_empty(&to->end.waiting))
			list_append(&tunnel->waiting, &to->end.waiting);
		return NULL;
	}
	at = outbox_reserve(&tunnel->out, &tunnel->engine->pool, FRAME_HEADER + READ_MIN, &room);
	*failed = at == NULL;
	room -= FRAME_HEADER;
	if (*len > room)
		*len = room;
	if (*len > to->end.stream->send_window)
		*len = to->end.stream->send_window;
	return at;
}

/* Send what there is on to the other's peer.  Returns bytes sent, or -1: both are gone. */
static ssize_t pass(struct joined *from, const uint8_t *data, size_t len)
{
	struct joined *to = from->other;
	size_t sent = 0;

	while (sent < len) {
		size_t part = len - sent;
		bool failed;
		uint8_t *at = frame_room(to, &part, &failed);

		if (failed) {
			joined_reset(&from->end);
			return -1;
		}
		if (at == NULL)
			break;
		mux_data(to->end.stream, at, (uint32_t)part);
		memcpy(at + FRAME_HEADER, data + sent, part);
		outbox_commit(&to->end.tunnel->out, FRAME_HEADER + part);
		sent += part;
	}
	if (sent > 0)
		end_consumed(&from->end, sent);
	return (ssize_t)sent;
}

/* What has waited, then the end of file; with both of these both ends are done. */
static void drain(struct joined *from)
{
	struct joined *to = from->other;
	struct iovec vectors[VECTORS];

	while (from->inbox.length > 0) {
		ssize_t sent;

		(void)chain_vectors(&from->inbox, vectors, 1);
		sent = pass(from, vectors[0].iov_base, vectors[0].iov_len);
		if (sent < 0)
			return;
		chain_drop(&from->inbox, &from->end.tunnel->engine->pool, (size_t)sent);
		if ((size_t)sent < vectors[0].iov_len)
			return;
	}
	if (from->end.stream->fin_received && !from->fin_passed) {
		from->fin_passed = true;
		mux_fin(&to->end.tunnel->mux, to->end.stream);
	}
	if (from->fin_passed && to->fin_passed) {
		end_free(&to->end);
		end_free(&from->end);
	}
}

static void joined_run(struct task *task)
{
	drain(list_entry(task, struct joined, end.task)->other);
}

static void joined_data(struct end *end, const uint8_t *data, size_t len)
{
	struct joined *from = (struct joined *)end;

	if (from->inbox.length == 0) {
		ssize_t sent = pass(from, data, len);

		if (sent < 0)
			return;
		data += sent;
		len -= (size_t)sent;
	}
	if (len > 0 && chain_append(&from->inbox, &end->tunnel->engine->pool, data, len) != 0)
		joined_reset(end);
}

static void joined_fin(struct end *end)
{
	drain((struct joined *)end);
}

static const struct end_kind joined_kind = {
	.size = sizeof(struct joined),
	.data = joined_data,
	.fin = joined_fin,
	.reset = joined_reset,
	.run = joined_run,
};

void join_accept(struct tunnel *tunnel, struct mux_stream *stream)
{
	struct end *in = end_new(tunnel, stream, &joined_kind);
	struct end *out;

	if (in == NULL)
		return;
	out = tunnel->onward->broken ? NULL : end_open(tunnel->onward, &joined_kind);
	if (out == NULL) {
		end_reset(in);
		return;
	}
	((struct joined *)in)->other = (struct joined *)out;
	((struct joined *)out)->other = (struct joined *)in;
	tunnel->engine->counters.streams_accepted++;
	tunnel->engine->counters.streams_opened++;
}

int join_tunnels(struct tunnel *a, struct tunnel *b)
{
	if (a == b || a->engine != b->engine)
		return -EINVAL;
	if (a->onward != NULL || b->onward != NULL)
		return -EBUSY;
	a->onward = b;
	b->onward = a;
	return 0;
}

void join_leave(struct tunnel *tunnel)
{
	if (tunnel->onward != NULL)
		tunnel->onward->onward = NULL;
	tunnel->onward = NULL;
}
