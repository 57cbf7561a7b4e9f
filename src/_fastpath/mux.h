/* Many streams over one byte stream: yamux framing and flow control.  Bytes in, events out.
 *
 * Called by: tunnel.c.
 * Owns: the streams, until mux_release().
 * Never: touches a socket or a clock; keeps a payload byte.
 *
 * Source: yamux specification (hashicorp/yamux spec.md).  A receive window starts at 256 KiB and
 * doubles, to WINDOW_MAX, whenever the peer uses half of it up within four round trips or 20 ms. */
#ifndef TELEPRESENCE_MUX_H
#define TELEPRESENCE_MUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "frame.h"

enum {
	WINDOW_START = 256 * 1024,	  /* the specification's initial window */
	WINDOW_MAX = 16 * 1024 * 1024,	  /* 128 ms at 1 Gbit/s */
	WINDOW_BUDGET = 64 * 1024 * 1024, /* growth beyond the start, summed over all streams */
	STREAMS_MAX = 65536,		  /* that the peer may have open */
	MUX_BUCKETS = 1024,
	CREDIT_US = 20 * 1000, /* a stream needs no credit more often than this */
};

struct mux_stream {
	struct mux_stream *next; /* in its bucket */
	void *owner;
	uint32_t id;
	uint32_t send_window; /* bytes that may be sent now */
	uint32_t recv_window; /* bytes that the peer may send now */
	uint32_t recv_size;   /* the window's size; recv_window + unread + granted back = this */
	uint32_t unread;      /* in frames that have begun, not yet consumed by the owner */
	uint64_t granted_us;  /* when credit was last given */
	uint16_t first_flags; /* SYN or SYNACK that the next frame carries */
	bool fin_sent, fin_received, reset;
};

enum mux_kind {
	MUX_NONE,
	MUX_OPENED,  /* by the peer; the owner must be set, or the stream reset */
	MUX_DATA,    /* data, len */
	MUX_CREDIT,  /* send_window grew */
	MUX_FIN,
	MUX_RESET,   /* by the peer */
	MUX_PONG,    /* value: the ping's */
	MUX_ACK,     /* value: offset that the peer has received */
	MUX_GOAWAY,
};

struct mux_event {
	enum mux_kind kind;
	struct mux_stream *stream;
	const uint8_t *data;
	size_t len;
	uint64_t value;
};

struct mux {
	void (*emit)(void *context, const uint8_t head[FRAME_HEADER]);
	void *context;
	struct mux_stream *buckets[MUX_BUCKETS];
	uint32_t next_id, n_streams, n_accepted;
	uint64_t grown; /* sum of recv_size beyond WINDOW_START */
	uint64_t rtt_us; /* 0: not measured yet */
	bool client;
	/* the frame being read */
	uint8_t head[FRAME_HEADER];
	uint32_t head_len, payload_left;
	uint16_t flags_left;
	struct mux_stream *payload_stream; /* NULL: discard the payload */
	uint8_t type;
};

void mux_init(struct mux *mux, bool client, void (*emit)(void *, const uint8_t *), void *context);
/* Frees every stream; owners must not use theirs any more. */
void mux_clear(struct mux *mux);

/* Read from the front of `buf`.  Returns bytes eaten and fills at most one event; 0 together with
 * MUX_NONE means that all was read; -EPROTO that the peer broke the protocol; -ENOMEM.
 * Pings are answered through emit(). */
ssize_t mux_take(struct mux *mux, const uint8_t *buf, size_t len, struct mux_event *event);

/* A new stream; nothing is sent until its first frame.  NULL: no memory or ids used up. */
struct mux_stream *mux_open(struct mux *mux, void *owner);
/* The header for `len` <= send_window bytes of data, which the caller sends behind it. */
void mux_data(struct mux_stream *stream, uint8_t head[static FRAME_HEADER], uint32_t len);
void mux_fin(struct mux *mux, struct mux_stream *stream);
/* Tells the peer, unless it reset the stream itself; the stream stays until mux_release(). */
void mux_reset(struct mux *mux, struct mux_stream *stream);
/* The owner has passed on `len` bytes: give the peer credit when it is worth a frame. */
void mux_consumed(struct mux *mux, struct mux_stream *stream, uint32_t len, uint64_t now_us);
void mux_release(struct mux *mux, struct mux_stream *stream);

void mux_ping(struct mux *mux, uint32_t value);
void mux_goaway(struct mux *mux, uint32_t code);
void mux_ack(struct mux *mux, uint64_t received);

#endif
