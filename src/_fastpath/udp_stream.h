/* One end of a stream that carries a UDP association: messages, each behind its length.
 *
 * Called by: server.c (laptop: open), opening.c (agent: serve).
 * Owns: the stream, and the beginning of a message that came without its end.
 * Never: waits for room: what the tunnel does not take at once is dropped.
 *
 * The stream begins as every other, with a SOCKS5 request and its reply. */
#ifndef TELEPRESENCE_UDP_STREAM_H
#define TELEPRESENCE_UDP_STREAM_H

#include "end.h"
#include "udp.h"

/* Laptop: NULL: no memory, or the tunnel is broken.  The caller joins it to another half. */
struct udp_half *udp_stream_open(struct tunnel *tunnel);
/* Agent: with an outlet as its other half.  Takes the stream; NULL: it is gone. */
struct end *udp_stream_serve(struct tunnel *tunnel, struct mux_stream *stream);

#endif
