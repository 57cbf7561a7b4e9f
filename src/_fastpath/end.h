/* Our end of a stream: what every kind of end has in common.
 *
 * Called by: tunnel.c (what the peer sends); opening.c, link.c and udp_stream.c begin with one.
 * Owns: its stream, and itself until end_free().
 * Never: outlives its tunnel; reads the stream's bytes. */
#ifndef TELEPRESENCE_END_H
#define TELEPRESENCE_END_H

#include "loop.h"
#include "mux.h"
#include "socks5.h"

struct end;
struct tunnel;

struct end_kind {
	size_t size; /* of the structure that begins with the end */
	void (*data)(struct end *end, const uint8_t *data, size_t len);
	void (*fin)(struct end *end);
	/* Close both sides at once, with resets. */
	void (*reset)(struct end *end);
	/* The peer gave credit, or the tunnel has room again. */
	void (*run)(struct task *task);
};

struct end {
	struct grave grave; /* first */
	struct task task;
	struct list node, waiting;
	struct tunnel *tunnel;
	struct mux_stream *stream;
	const struct end_kind *kind;
};

/* Zeroed but for its end.  Takes the stream; NULL: no memory, and the stream has been reset. */
struct end *end_new(struct tunnel *tunnel, struct mux_stream *stream, const struct end_kind *kind);
/* The same with a stream of its own, of which the peer hears with the first bytes. */
struct end *end_open(struct tunnel *tunnel, const struct end_kind *kind);
/* Bytes of our own making, which fit the window of a young stream and one block: 0 or -errno. */
int end_send(struct end *end, const uint8_t *data, size_t len);
int end_reply(struct end *end, uint8_t code, const struct socks5_addr *addr);
void end_consumed(struct end *end, size_t len);

/* Each ends the end; `fin` and `reset` tell the peer. */
void end_free(struct end *end);
void end_fin(struct end *end);
void end_reset(struct end *end);
/* A reply is the last that is sent; what the peer still sends is dropped by the mux. */
void end_refuse(struct end *end, uint8_t code);
/* The stream lives on for another end. */
struct mux_stream *end_leave(struct end *end);

#endif
