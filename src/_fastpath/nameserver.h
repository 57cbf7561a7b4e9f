/* The name server that this machine's own programs ask.
 *
 * Called by: request.c, udp_outlet.c.  Owns: nothing.
 * Never: asks it anything.
 *
 * 0.0.0.0 and [::] with port 53 are no destinations; in a request that reaches the pod they stand for
 * the pod's own name server, which the laptop cannot know.  Source: resolv.conf(5). */
#ifndef TELEPRESENCE_NAMESERVER_H
#define TELEPRESENCE_NAMESERVER_H

#include <stddef.h>

#include "address.h"

enum { NAMESERVER_PORT = 53 };

bool nameserver_meant(const struct socks5_addr *addr);
/* The first one that a resolv.conf names, with its port; 127.0.0.1 when it names none. */
void nameserver_parse(const char *text, size_t len, union address *out);
/* The first one of /etc/resolv.conf, which is read anew. */
void nameserver_find(union address *out);

#endif
