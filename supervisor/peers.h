/* With whom a socket is connected, and from where, as its program has it: the kernel knows the way to
 * the SOCKS server alone.
 *
 * Called by: dial.c, detour.c (write), calls.c (getpeername, getsockname).
 * Owns: a place for each port of this machine, as no two connections to the one server share one.
 * Never: needs to hear that a socket was closed: the next one with its port has another cookie. */
#ifndef TELEPRESENCE_SUPERVISOR_PEERS_H
#define TELEPRESENCE_SUPERVISOR_PEERS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "socks5.h"

union target {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

struct peer {
	uint64_t cookie; /* SO_COOKIE of the socket, 0: none */
	socklen_t len;
	bool unannounced; /* connect(2) has not yet said that it is done */
	union target target, local; /* local: the pod's end, or AF_UNSPEC */
};

/* NULL: no memory.  It is not touched before it is used. */
struct peer *peers_new(void);
/* The place of a connected socket, whoever was there before; NULL: it is not bound. */
struct peer *peers_place(struct peer *peers, int fd);
/* `bound`: what the SOCKS server's answer names, the address that it has connected from. */
struct peer peers_make(uint64_t cookie, const union target *target, const struct socks5_addr *bound);
/* What is known of this very socket, or NULL. */
struct peer *peers_find(struct peer *peers, int fd);
/* IPv4 as IPv6 has it (RFC 4291 section 2.5.5.2), and back: false if it is none. */
void peers_map(const union target *v4, union target *out);
bool peers_unmap(union target *target);
socklen_t target_len(const union target *target);
uint64_t peers_cookie(int fd);

#endif
