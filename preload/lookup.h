/* Names and addresses as the pod has them, one question at a time (Tor's RESOLVE, RESOLVE_PTR).
 *
 * Called by: names.c, hosts.c.
 * Owns: the socket of a question while it lasts.  Never: asks the laptop's network. */
#ifndef TELEPRESENCE_PRELOAD_LOOKUP_H
#define TELEPRESENCE_PRELOAD_LOOKUP_H

#include <stdint.h>

#include "socks5.h"

enum { LOOKUP_MAX = 16 };

/* Addresses of a name.  family: AF_UNSPEC, AF_INET or AF_INET6.
 * Returns their number, > 0, or an EAI_* of getaddrinfo(3), < 0; EAI_SYSTEM with errno. */
int lookup_addresses(const char *name, int family, struct socks5_addr out[LOOKUP_MAX]);

/* The name of an address (its port does not matter): 0 or an EAI_*. */
int lookup_name(const struct socks5_addr *addr, char name[256]);

#endif
