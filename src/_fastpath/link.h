/* One stream of the tunnel joined to one socket.
 *
 * Called by: opening.c (streams of the peer's); server.c, redirect.c, hold.c, listener.c and engine.pyx (ours).
 * Owns: the socket and the bytes that it did not take yet, at most the stream's window.
 * Never: outlives its tunnel.
 *
 * Where a program connects, the socket is there first and a request goes out as the stream's first bytes.
 * At the other side the stream is there first, its request is carried out, and the answer sent back. */
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

/* A connect whose program has no connection yet, for whoever lets it have one. */
struct link_ahead {
	struct link *link; /* NULL: gone, and nothing of it is left */
	/* The pod has answered, once; after another code than SOCKS5_SUCCEEDED the link is gone, and with a
	 * tunnel that broke it is SOCKS5_GENERAL_FAILURE. */
	void (*settled)(struct link_ahead *ahead, uint8_t code);
};

/* As link_open_connect(), without a socket: 0 or -errno. */
int link_open_ahead(struct tunnel *tunnel, const struct socks5_addr *to, struct link_ahead *ahead);
/* The program's connection, which is taken; it is reset if the link is gone. */
void link_adopt(struct link_ahead *ahead, int fd);
/* Nobody waits for the answer any more. */
void link_forget(struct link_ahead *ahead);
/* No connection will come. */
void link_abandon(struct link_ahead *ahead);

/* Carry out the request of a stream of the peer's, which is the link's from now on: in the agent any, on
 * the laptop a connect to a port that has an exposure.  NULL: the stream is gone. */
struct end *link_serve(struct tunnel *tunnel, struct mux_stream *stream,
		       const struct socks5_request *request);

#endif
