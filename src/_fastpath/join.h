/* Two tunnels joined: a stream that the one's peer opens goes on as a stream of the other.
 *
 * Called by: opening.c (a stream of the peer's), engine.pyx (join), tunnel.c (close).
 * Owns: both ends of each joined stream, and the bytes that the other tunnel did not take yet.
 * Never: looks into a stream: requests and replies pass as they are, so do end of file and reset.
 *
 * What waits for the other tunnel is at most the stream's window, as credit is only given for what
 * has been passed on. */
#ifndef TELEPRESENCE_JOIN_H
#define TELEPRESENCE_JOIN_H

struct mux_stream;
struct tunnel;

/* Both of one engine.  Streams that the caller opens itself stay its own.  0, or -EBUSY: one of them
 * is joined already; -EINVAL: two engines, or one tunnel. */
int join_tunnels(struct tunnel *a, struct tunnel *b);
/* Streams that are joined already live on. */
void join_leave(struct tunnel *tunnel);
/* Takes `stream`, which the peer of `tunnel` has opened. */
void join_accept(struct tunnel *tunnel, struct mux_stream *stream);

#endif
