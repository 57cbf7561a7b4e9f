/* UDP through the SOCKS server (RFC 1928 section 7).
 *
 * Called by: hooks.c (connect, close), io.c (everything that sends or receives).
 * Owns: one association for each socket that sends into the pod: its CONTROL connection.
 * Never: a datagram to anywhere but the server in place of one to the pod.
 *
 * The program's own socket talks to the server's relay: its number, its queue, its flags and what
 * poll(2) says of it stay what they are.  Each datagram has a header in front of it, with the
 * address of the far end, that is put there and taken away here.  With our own server those of a
 * connected socket have none, so that they may also pass where nobody looks: through libc's stdio
 * (bash's /dev/udp), or in a program that has inherited the socket. */
#ifndef TELEPRESENCE_PRELOAD_DATAGRAM_H
#define TELEPRESENCE_PRELOAD_DATAGRAM_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "flows.h"

/* This socket's datagrams have headers.  Quick, and never true for TCP. */
static inline bool datagram_relayed(int fd)
{
	return atomic_load_explicit(&flows_relayed, memory_order_relaxed) != 0 &&
	       flow_state(fd) == FLOW_RELAYED;
}

/* A send to this address, NULL for none, has to go through datagram_send(). */
bool datagram_wants(int fd, const struct sockaddr *to, socklen_t len);

/* connect(2) of a UDP socket to an address that is not at home: 0 or -errno. */
int datagram_connect(int fd, const struct sockaddr *target);
/* connect(2) has dissolved the connection, or made one at home. */
void datagram_disconnect(int fd);

/* As sendmsg(2) and recvmsg(2). */
ssize_t datagram_send(int fd, const struct msghdr *message, int flags);
ssize_t datagram_receive(int fd, struct msghdr *message, int flags);

/* Before fd is closed or becomes another socket: its association ends with its last copy. */
void datagram_close(int fd);
/* Before `fd`, a CONTROL descriptor, is overwritten by dup2(2): it moves away. */
void datagram_make_way(int fd);

#endif
