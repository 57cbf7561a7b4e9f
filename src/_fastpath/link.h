/* One stream of the tunnel joined to one socket.
 *
 * Called by: tunnel.c (what the peer sends), server.c and engine.pyx (laptop side).
 * Owns: the socket and the bytes that it did not take yet, at most the stream's window.
 * Never: outlives its tunnel.
 *
 * On the laptop the socket is there first and its request goes out as the stream's first bytes.
 * In the agent the stream is there first, its request is carried out, and the answer sent back. */
#ifndef TELEPRESENCE_LINK_H
#define TELEPRESENCE_LINK_H

#include "loop.h"
#include "mux.h"
#include "socks5.h"

struct answer;
struct opening;
struct tunnel;

struct link {
	struct grave grave; /* first */
	struct list node, waiting;
	struct task task;
	struct poll_item item;
	struct tunnel *tunnel;
	struct mux_stream *stream;
	struct opening *opening; /* agent: until the request has been carried out */
	struct chain inbox;
	struct answer *answer; /* laptop, of link_open_connect(): until the reply has come */
	bool readable, writable, hangup, broken;
	bool read_done;	 /* end of file seen and FIN sent */
	bool write_done; /* the peer's FIN passed on */
};

/* Laptop: a stream whose first bytes are `head` (a request and what followed it).  Takes `fd`,
 * which is registered for `from` if that is not NULL.  0, or -errno and fd is the caller's. */
int link_open(struct tunnel *tunnel, int fd, const struct poll_item *from, const uint8_t *head,
	      size_t len);

/* Laptop: a connect whose program knows nothing of SOCKS: the reply is taken out of the bytes, and
 * one that is no success resets the program's connection.  Takes `fd`; as link_open(). */
int link_open_connect(struct tunnel *tunnel, int fd, const struct socks5_addr *to);

/* Events of the stream. */
void link_accept(struct tunnel *tunnel, struct mux_stream *stream);
void link_data(struct link *link, const uint8_t *data, size_t len);
void link_fin(struct link *link);
/* Close both ends at once, with resets. */
void link_reset(struct link *link);

#endif
