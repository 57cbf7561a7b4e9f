/* A stream that the peer opened, until its request is complete.
 *
 * Called by: tunnel.c.
 * Owns: the stream meanwhile; who carries the request out gets it.
 * Never: carries a request out; takes one on a laptop but for a port that it exposes. */
#ifndef TELEPRESENCE_OPENING_H
#define TELEPRESENCE_OPENING_H

struct mux_stream;
struct tunnel;

void opening_accept(struct tunnel *tunnel, struct mux_stream *stream);

#endif
