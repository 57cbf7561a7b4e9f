/* Socket addresses, and the addresses of SOCKS5 messages that say the same.
 *
 * Called by: request.c, resolver.c, nameserver.c, the UDP parts.  Owns: nothing.
 * Never: looks a name up. */
#ifndef TELEPRESENCE_ADDRESS_H
#define TELEPRESENCE_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "socks5.h"

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

socklen_t address_len(const union address *addr);
uint16_t address_port(const union address *addr);
void address_set_port(union address *addr, uint16_t port);
/* Of the same family and host; ports are not compared. */
bool address_same_host(const union address *a, const union address *b);
/* `in` is no name. */
void address_from_socks(union address *out, const struct socks5_addr *in);
/* An IPv4 address that came to a dual-stack socket is given as IPv4 (RFC 4291 section 2.5.5.2). */
void address_to_socks(struct socks5_addr *out, const union address *in);

#endif
