/* Names that only the server can reach (.onion) as addresses that a program can hold.
 *
 * Called by: lookup.c (a name gets its address), home.c (an address is its name again).
 * Owns: the table, for the life of the process.  Never: forgets or reuses an address.
 *
 * The address space is OnionAddrRange of torsocks.conf(5).  Only a server of other make (Tor) has
 * such names: ours asks the pod's resolver for every name. */
#ifndef TELEPRESENCE_PRELOAD_ONION_H
#define TELEPRESENCE_PRELOAD_ONION_H

#include <stdbool.h>

#include "socks5.h"

/* False: no such name, or no address is left. */
bool onion_address(const char *name, struct socks5_addr *out);
/* NULL: not an address of the table. */
const char *onion_name(const struct socks5_addr *addr);

#endif
