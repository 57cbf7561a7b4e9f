/* The pod's side of an exposed port: it listens, and each connection becomes a stream to the laptop.
 *
 * Called by: opening.c.
 * Owns: the stream that asked for it, and the listening socket for as long.
 * Never: lets a connection wait for the laptop's answer before its bytes are under way.
 *
 * The request is SOCKS5_LISTEN with the port; the reply names the bound port, or says why not.  The
 * stream carries nothing more.  A connection's stream begins with a CONNECT to 127.0.0.1 and the port. */
#ifndef TELEPRESENCE_LISTENER_H
#define TELEPRESENCE_LISTENER_H

#include "end.h"

/* Takes the stream; NULL: it is gone, refused. */
struct end *listener_serve(struct tunnel *tunnel, struct mux_stream *stream,
			   const struct socks5_request *request);

#endif
