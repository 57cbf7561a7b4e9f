/* Sockets as the loop wants them: non-blocking, closed on exec, without delay or SIGPIPE.
 *
 * Called by: whoever opens or takes in a socket.  Owns: nothing.  Never: blocks. */
#ifndef TELEPRESENCE_SOCKETS_H
#define TELEPRESENCE_SOCKETS_H

/* All return -errno. */

/* Make an existing socket like that: 0. */
int socket_prepare(int fd);
/* A client of a listening socket, or a new TCP socket. */
int socket_accept(int listener);
int socket_open(int family);
/* Two Unix sockets joined to each other: 0. */
int socket_pair(int ends[2]);
/* The other end is a process of this machine, so a pace, as a system with BBR sets one, is only waiting:
 * the proxy container's way up is 0.87 of a port-forward with it, 1.04 without (bench/container.py).
 * Reno is in every Linux, for everybody: tcp(7). */
void socket_unpaced(int fd);
/* Close so that the peer sees a reset. */
void socket_reset(int fd);

#endif
