#include "mux.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void mux_init(struct mux *mux, bool client, void (*emit)(void *, const uint8_t *), void *context)
{
	memset(mux, 0, sizeof *mux);
	mux->client = client;
	mux->next_id = client ? 1 : 2;
	mux->emit = emit;
	mux->context = context;
}

void mux_clear(struct mux *mux)
{
	for (size_t i = 0; i < MUX_BUCKETS; i++)
		while (mux->buckets[i] != NULL)
			mux_release(mux, mux->buckets[i]);
}

static struct mux_stream **mux_slot(struct mux *mux, uint32_t id)
{
	struct mux_stream **slot = &mux->buckets[(id >> 1) % MUX_BUCKETS];

	while (*slot != NULL && (*slot)->id != id)
		slot = &(*slot)->next;
	return slot;
}

static bool mux_ours(const struct mux *mux, uint32_t id)
{
	return (id & 1) == (mux->client ? 1u : 0u);
}

static struct mux_stream *mux_add(struct mux *mux, uint32_t id, uint16_t first_flags)
{
	struct mux_stream **slot = mux_slot(mux, id);
	struct mux_stream *stream = calloc(1, sizeof *stream);

	if (stream == NULL)
		return NULL;
	stream->id = id;
	stream->first_flags = first_flags;
	stream->send_window = stream->recv_window = stream->recv_size = WINDOW_START;
	stream->next = *slot;
	*slot = stream;
	mux->n_streams++;
	if (!mux_ours(mux, id))
		mux->n_accepted++;
	return stream;
}

void mux_release(struct mux *mux, struct mux_stream *stream)
{
	struct mux_stream **slot = mux_slot(mux, stream->id);

	if (mux->payload_stream == stream)
		mux->payload_stream = NULL;
	*slot = stream->next;
	mux->n_streams--;
	if (!mux_ours(mux, stream->id))
		mux->n_accepted--;
	mux->grown -= stream->recv_size - WINDOW_START;
	free(stream);
}

struct mux_stream *mux_open(struct mux *mux, void *owner)
{
	struct mux_stream *stream;

	if (mux->next_id > UINT32_MAX - 2)
		return NULL;
	stream = mux_add(mux, mux->next_id, FRAME_SYN);
	if (stream == NULL)
		return NULL;
	mux->next_id += 2;
	stream->owner = owner;
	return stream;
}

static void mux_emit(struct mux *mux, uint8_t type, uint16_t flags, uint32_t stream, uint32_t length)
{
	uint8_t head[FRAME_HEADER];

	frame_make(head, &(struct frame){type, flags, stream, length});
	mux->emit(mux->context, head);
}

static uint16_t stream_flags(struct mux_stream *stream, uint16_t flags)
{
	flags |= stream->first_flags;
	stream->first_flags = 0;
	return flags;
}

void mux_data(struct mux_stream *stream, uint8_t head[static FRAME_HEADER], uint32_t len)
{
	frame_make(head, &(struct frame){FRAME_DATA, stream_flags(stream, 0), stream->id, len});
	stream->send_window -= len;
}

void mux_fin(struct mux *mux, struct mux_stream *stream)
{
	if (stream->fin_sent || stream->reset)
		return;
	stream->fin_sent = true;
	mux_emit(mux, FRAME_DATA, stream_flags(stream, FRAME_FIN), stream->id, 0);
}

void mux_reset(struct mux *mux, struct mux_stream *stream)
{
	if (stream->reset)
		return;
	stream->reset = true;
	if (stream->first_flags == FRAME_SYN)
		return; /* the peer never heard of it */
	mux_emit(mux, FRAME_WINDOW, stream_flags(stream, FRAME_RST), stream->id, 0);
}

/* Half of the window used within four round trips: the window is what limits the sender.  On short
 * paths it is the credit's own way back through five processes that costs: 50 a second are few. */
static void mux_grow(struct mux *mux, struct mux_stream *stream, uint64_t now_us)
{
	uint64_t busy_us = 4 * mux->rtt_us > CREDIT_US ? 4 * mux->rtt_us : CREDIT_US;
	uint32_t more = stream->recv_size;

	if (stream->recv_size >= WINDOW_MAX || mux->grown + more > WINDOW_BUDGET)
		return;
	if (now_us - stream->granted_us > busy_us)
		return;
	stream->recv_size += more;
	mux->grown += more;
}

void mux_consumed(struct mux *mux, struct mux_stream *stream, uint32_t len, uint64_t now_us)
{
	uint32_t credit;

	stream->unread -= len;
	if (stream->reset || stream->fin_received)
		return;
	credit = stream->recv_size - stream->recv_window - stream->unread;
	if (credit < stream->recv_size / 2)
		return;
	mux_grow(mux, stream, now_us);
	credit = stream->recv_size - stream->recv_window - stream->unread;
	stream->recv_window += credit;
	stream->granted_us = now_us;
	mux_emit(mux, FRAME_WINDOW, stream_flags(stream, 0), stream->id, credit);
}

void mux_ping(struct mux *mux, uint32_t value)
{
	mux_emit(mux, FRAME_PING, FRAME_SYN, 0, value);
}

void mux_goaway(struct mux *mux, uint32_t code)
{
	mux_emit(mux, FRAME_GOAWAY, 0, 0, code);
}

void mux_ack(struct mux *mux, uint64_t received)
{
	mux_emit(mux, FRAME_ACK, 0, (uint32_t)(received >> 32), (uint32_t)received);
}

/* A frame without a stream: ping, go away, acknowledgement. */
static int session_frame(struct mux *mux, const struct frame *frame, struct mux_event *event)
{
	switch (frame->type) {
	case FRAME_PING:
		if ((frame->flags & FRAME_SYN) != 0) {
			mux_emit(mux, FRAME_PING, FRAME_SYNACK, 0, frame->length);
		} else {
			event->kind = MUX_PONG;
			event->value = frame->length;
		}
		return frame->stream == 0 ? 0 : -EPROTO;
	case FRAME_GOAWAY:
		event->kind = MUX_GOAWAY;
		event->value = frame->length;
		return frame->stream == 0 ? 0 : -EPROTO;
	default:
		event->kind = MUX_ACK;
		event->value = (uint64_t)frame->stream << 32 | frame->length;
		return 0;
	}
}

/* SYN: a new stream of the peer's.  NULL in `*stream` with 0: too many, refused by a reset. */
static int accept_stream(struct mux *mux, const struct frame *frame, struct mux_stream **stream)
{
	if (mux_ours(mux, frame->stream) || *stream != NULL)
		return -EPROTO;
	if (mux->n_accepted >= STREAMS_MAX) {
		mux_emit(mux, FRAME_WINDOW, FRAME_RST, frame->stream, 0);
		return 0;
	}
	*stream = mux_add(mux, frame->stream, FRAME_SYNACK);
	return *stream == NULL ? -ENOMEM : 0;
}

static int credit_stream(struct mux_stream *stream, uint32_t credit, struct mux_event *event)
{
	if (credit > UINT32_MAX - stream->send_window)
		return -EPROTO;
	stream->send_window += credit;
	if (credit > 0) {
		event->kind = MUX_CREDIT;
		event->stream = stream;
	}
	return 0;
}

/* Frames for a stream that is not there are what a reset leaves in flight: skipped. */
static int stream_frame(struct mux *mux, const struct frame *frame, struct mux_event *event)
{
	struct mux_stream *stream = *mux_slot(mux, frame->stream);
	int rc;

	if (frame->stream == 0)
		return -EPROTO;
	if ((frame->flags & FRAME_SYN) != 0) {
		rc = accept_stream(mux, frame, &stream);
		if (rc != 0)
			return rc;
		if (stream != NULL) {
			event->kind = MUX_OPENED;
			event->stream = stream;
		}
	}
	mux->payload_stream = stream;
	mux->payload_left = frame->type == FRAME_DATA ? frame->length : 0;
	mux->flags_left = frame->flags & (FRAME_FIN | FRAME_RST);
	if (stream == NULL)
		return 0;
	if (frame->type == FRAME_WINDOW) {
		struct mux_event credit = {0};

		rc = credit_stream(stream, frame->length, &credit);
		if (event->kind == MUX_NONE)
			*event = credit;
		return rc;
	}
	if (frame->length > stream->recv_window || (stream->fin_received && frame->length > 0))
		return -EPROTO;
	/* All of the frame's bytes leave the window now, though some of them are still to come. */
	stream->recv_window -= frame->length;
	stream->unread += frame->length;
	return 0;
}

static ssize_t take_header(struct mux *mux, const uint8_t *buf, size_t len, struct mux_event *event)
{
	size_t part = FRAME_HEADER - mux->head_len;
	struct frame frame;
	int rc;

	if (part > len)
		part = len;
	memcpy(mux->head + mux->head_len, buf, part);
	mux->head_len += (uint32_t)part;
	if (mux->head_len < FRAME_HEADER)
		return (ssize_t)part;
	mux->head_len = 0;
	rc = frame_take(mux->head, &frame);
	if (rc == 0 && frame.type > FRAME_WINDOW)
		rc = session_frame(mux, &frame, event);
	else if (rc == 0)
		rc = stream_frame(mux, &frame, event);
	return rc == 0 ? (ssize_t)part : rc;
}

static ssize_t take_payload(struct mux *mux, const uint8_t *buf, size_t len, struct mux_event *event)
{
	uint32_t part = mux->payload_left;

	if (part > len)
		part = (uint32_t)len;
	mux->payload_left -= part;
	if (mux->payload_stream != NULL && part > 0) {
		event->kind = MUX_DATA;
		event->stream = mux->payload_stream;
		event->data = buf;
		event->len = part;
	}
	return (ssize_t)part;
}

/* FIN and RST of a frame count once its payload has been delivered. */
static void take_end(struct mux *mux, struct mux_event *event)
{
	struct mux_stream *stream = mux->payload_stream;
	uint16_t flags = mux->flags_left;

	mux->flags_left = 0;
	if (stream == NULL || stream->reset)
		return;
	event->stream = stream;
	if ((flags & FRAME_RST) != 0) {
		stream->reset = true;
		event->kind = MUX_RESET;
	} else if (!stream->fin_received) {
		stream->fin_received = true;
		event->kind = MUX_FIN;
	}
}

ssize_t mux_take(struct mux *mux, const uint8_t *buf, size_t len, struct mux_event *event)
{
	*event = (struct mux_event){.kind = MUX_NONE};
	if (mux->payload_left == 0 && mux->flags_left != 0) {
		take_end(mux, event);
		if (event->kind != MUX_NONE)
			return 0;
	}
	if (len == 0)
		return 0;
	if (mux->payload_left > 0)
		return take_payload(mux, buf, len, event);
	return take_header(mux, buf, len, event);
}
