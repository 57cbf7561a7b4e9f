/* Connections that a firewall rule turned towards us, carried on to where the program meant to go.
 *
 * Called by: server.c, for a server that is `transparent`; engine.pyx (ask).
 * Owns: nothing; the link owns the socket from then on.
 * Never: talks SOCKS to the program; carries a connection that was made to the listener itself,
 * which would come back for ever.
 *
 * The kernel has completed the handshake already.  Where hold.c could keep it waiting for the pod, the stream
 * is there; elsewhere a refusal can only come later: it is a reset, as soon as the pod knows. */
#ifndef TELEPRESENCE_REDIRECT_H
#define TELEPRESENCE_REDIRECT_H

struct server;

/* Takes `fd`, which has just been accepted. */
void redirect_open(struct server *server, int fd);
/* From now on ask over `fd` (meant.h), not the kernel.  Takes it, or -errno and it is still the caller's. */
int redirect_ask(struct server *server, int fd);

#endif
