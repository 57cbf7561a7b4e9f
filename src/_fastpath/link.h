/* One stream of the tunnel joined to one socket.
 *
 * Called by: opening.c (agent side), server.c and engine.pyx (laptop side).
 * Owns: the socket and the bytes that it did not take yet, at most the stream's window.
 * Never: outlives its tunnel.
 *
 * On the laptop the socket is there first and its request goes out as the stream's first bytes.
 * In the agent the stream is there first, its request is carried out, and the answer sent back. */
#ifndef TELEPRESENCE_LINK_H
#define TELEPRESENCE_LINK_H

#include "end.h"
#include "poller.h"

/* Laptop: a stream whose first bytes are `head` (a request and what followed it).  Takes `fd`,
 * which is registered for `from` if that is not NULL.  0, or -errno and fd is the caller's. */
int link_open(struct tunnel *tunnel, int fd, const struct poll_item *from, const uint8_t *head,
	      size_t len);

/* A connect whose program knows nothing of SOCKS: the reply is taken out of the bytes, and
 * one that is no success resets the program's connection.  Takes `fd`; as link_open(). */
int link_open_connect(struct tunnel *tunnel, int fd, const struct socks5_addr *to);

/* Agent: carry out the request of a stream, which is the link's from now on.  NULL: it is gone. */
struct end *link_serve(struct tunnel *tunnel, struct mux_stream *stream,
		       const struct socks5_request *request);

#endif
