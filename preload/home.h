/* Which destinations stay on this machine, and what the server is asked for the others.
 *
 * Called by: hooks.c, dial.c, datagram.c.
 * Owns: nothing.  Never: remembers resolv.conf(5), which changes under long-lived programs. */
#ifndef TELEPRESENCE_PRELOAD_HOME_H
#define TELEPRESENCE_PRELOAD_HOME_H

#include <stdbool.h>
#include <sys/socket.h>

#include "socks5.h"

enum { HOME_DNS_PORT = 53 };

/* This machine itself, the SOCKS server, or everybody on the link (multicast, broadcast): left
 * alone.  Not so a name server of this machine's resolv.conf, wherever it is: programs that ask it
 * themselves are to hear what the pod's says. */
bool home_is(const struct sockaddr *target, socklen_t len);

bool home_is_server(const struct sockaddr *target, socklen_t len);
bool home_is_loopback(const struct sockaddr *target);
/* AllowOutboundLocalhost does not let a socket of this kind (SOCK_STREAM, SOCK_DGRAM) go there. */
bool home_refuses(int kind, const struct sockaddr *target);

/* IPv4 stays IPv4, in whichever family it comes. */
void home_addr(const struct sockaddr *target, struct socks5_addr *out);

/* The request for a target.  The laptop's name servers become 0.0.0.0:53, which the agent reads as
 * "the pod's name server"; true if it is one. */
bool home_request(const struct sockaddr *target, struct socks5_addr *out);

/* An address as recvfrom(2) gives it to a socket of this family.  False: it cannot be said there. */
bool home_sockaddr(const struct socks5_addr *addr, int family, struct sockaddr_storage *out,
		   socklen_t *len);

#endif
