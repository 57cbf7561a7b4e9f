#include "udp_stream.h"

#include <string.h>

#include "cutter.h"
#include "tunnel.h"
#include "udp_outlet.h"

enum {
	/* What one association may have waiting for the carrier: more would only add delay, and take
	 * the room of others. */
	AHEAD_MAX = UNSENT_MAX / 4,
	/* What all may have waiting, beside the streams that stop at UNSENT_MAX: these do not keep a
	 * datagram away. */
	UNSENT_DATAGRAMS_MAX = 2 * UNSENT_MAX,
	FIRST_PART_MAX = BLOCK_BYTES - FRAME_HEADER - CUTTER_LENGTH,
};

struct udp_stream {
	struct end end; /* first */
	struct udp_half half;
	struct cutter cutter;
	uint64_t burst_end; /* offset in the outbox behind our last message */
	size_t burst_bytes; /* ours before it, of which some may have been written */
	bool answered;
	size_t head_len; /* laptop: of the reply */
	uint8_t head[SOCKS5_REPLY_MAX];
};

static void stream_close(struct udp_half *half)
{
	struct udp_stream *stream = list_entry(half, struct udp_stream, half);

	cutter_clear(&stream->cutter, &stream->end.tunnel->engine->pool);
	end_fin(&stream->end);
}

static bool has_room(struct udp_stream *stream, size_t total)
{
	const struct tunnel *tunnel = stream->end.tunnel;
	uint64_t unsent = tunnel->out.queued - tunnel->out.written;

	if (tunnel->out.written >= stream->burst_end)
		stream->burst_bytes = 0;
	return total <= stream->end.stream->send_window && stream->burst_bytes < AHEAD_MAX &&
	       unsent < UNSENT_DATAGRAMS_MAX && tunnel->out.queued - tunnel->out.acked < REPLAY_MAX;
}

/* Length and message in one frame, or in two when one block has not the room. */
static int queue(struct udp_stream *stream, const uint8_t *message, size_t len)
{
	struct tunnel *tunnel = stream->end.tunnel;
	size_t part = len < FIRST_PART_MAX ? len : (size_t)FIRST_PART_MAX;
	size_t room, first = FRAME_HEADER + CUTTER_LENGTH + part;
	uint8_t *to = outbox_reserve(&tunnel->out, &tunnel->engine->pool, first, &room);

	if (to == NULL)
		return 0; /* dropped, and nothing of it is out */
	mux_data(stream->end.stream, to, (uint32_t)(CUTTER_LENGTH + part));
	cutter_length(to + FRAME_HEADER, len);
	memcpy(to + FRAME_HEADER + CUTTER_LENGTH, message, part);
	outbox_commit(&tunnel->out, first);
	stream->burst_bytes += CUTTER_LENGTH + len;
	if (part < len && end_send(&stream->end, message + part, len - part) != 0)
		return -1;
	stream->burst_end = tunnel->out.queued;
	return 1;
}

static void stream_send(struct udp_half *half, const uint8_t *message, size_t len)
{
	struct udp_stream *stream = list_entry(half, struct udp_stream, half);
	int sent = 0;

	if (len <= CUTTER_MESSAGE_MAX && has_room(stream, CUTTER_LENGTH + len))
		sent = queue(stream, message, len);
	udp_count(stream->end.tunnel->engine, sent > 0);
	if (sent < 0) /* half a message: the rest of the stream would be misread */
		stream->end.kind->reset(&stream->end);
}

/* Laptop: eat the reply.  Returns bytes eaten, or -1: refused, or no reply at all. */
static ssize_t take_reply(struct udp_stream *stream, const uint8_t *data, size_t len)
{
	struct socks5_answer answer;
	size_t before = stream->head_len;
	size_t part = sizeof stream->head - before;
	ssize_t eaten;

	if (part > len)
		part = len;
	memcpy(stream->head + before, data, part);
	stream->head_len += part;
	eaten = socks5_take_answer(stream->head, stream->head_len, &answer);
	if (eaten < 0 || (eaten > 0 && answer.code != SOCKS5_SUCCEEDED))
		return -1;
	stream->answered = eaten > 0;
	return eaten > 0 ? eaten - (ssize_t)before : (ssize_t)part;
}

static void stream_data(struct end *end, const uint8_t *data, size_t len)
{
	struct udp_stream *stream = (struct udp_stream *)end;
	struct udp_batch *batch = udp_batch(end->tunnel->engine);
	struct pool *pool = &end->tunnel->engine->pool;

	end_consumed(end, len);
	if (!stream->answered) {
		ssize_t eaten = take_reply(stream, data, len);

		if (eaten < 0) {
			end->kind->reset(end);
			return;
		}
		data += eaten;
		len -= (size_t)eaten;
	}
	while (len > 0) {
		struct cut cut;
		ssize_t eaten = batch == NULL ? -1 : cutter_take(&stream->cutter, pool, data, len,
								 batch->whole, &cut);

		if (eaten < 0) {
			end->kind->reset(end);
			return;
		}
		if (cut.message != NULL)
			stream->half.other->send(stream->half.other, cut.message, cut.len);
		if (end->stream == NULL)
			return;
		data += eaten;
		len -= (size_t)eaten;
	}
}

static void stream_fin(struct end *end)
{
	udp_close(&((struct udp_stream *)end)->half);
}

/* Tell the peer at once; close() finds the stream reset, and says no more. */
static void stream_reset(struct end *end)
{
	mux_reset(&end->tunnel->mux, end->stream);
	end->tunnel->engine->counters.streams_reset++;
	stream_fin(end);
}

static void stream_run(struct task *task)
{
	(void)task; /* nothing waits for room */
}

static const struct end_kind stream_kind = {
	.size = sizeof(struct udp_stream),
	.data = stream_data,
	.fin = stream_fin,
	.reset = stream_reset,
	.run = stream_run,
};

static struct udp_half *half_of(struct end *end)
{
	struct udp_half *half = &((struct udp_stream *)end)->half;

	half->send = stream_send;
	half->close = stream_close;
	return half;
}

struct udp_half *udp_stream_open(struct tunnel *tunnel)
{
	static const struct socks5_addr anywhere = {.atyp = SOCKS5_IPV4, .host_len = 4};
	uint8_t head[SOCKS5_REQUEST_MAX];
	ssize_t len = socks5_make_request(head, sizeof head, SOCKS5_UDP_ASSOCIATE, &anywhere);
	struct end *end = tunnel->broken ? NULL : end_open(tunnel, &stream_kind);

	if (end == NULL)
		return NULL;
	if (end_send(end, head, (size_t)len) != 0) {
		end_free(end);
		return NULL;
	}
	tunnel->engine->counters.streams_opened++;
	return half_of(end);
}

struct end *udp_stream_serve(struct tunnel *tunnel, struct mux_stream *stream)
{
	struct end *end = end_new(tunnel, stream, &stream_kind);
	struct udp_half *outlet = end == NULL ? NULL : udp_outlet_open(tunnel->engine);

	if (outlet == NULL || end_reply(end, SOCKS5_SUCCEEDED, NULL) != 0) {
		if (end != NULL)
			end_reset(end);
		if (outlet != NULL)
			outlet->close(outlet);
		return NULL;
	}
	((struct udp_stream *)end)->answered = true;
	udp_join(half_of(end), outlet);
	tunnel->engine->counters.associations++;
	return end;
}
