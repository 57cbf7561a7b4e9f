/* resolver(3) as the system has it: what records.c needs of <resolv.h> and <arpa/nameser.h>.
 *
 * Called by: records.c, exports_names.c.
 * Owns: nothing.  Never: asks a name server.
 *
 * On macOS the functions are libresolv's, whose symbols have a 9 in their names (libresolv.tbd).
 * zig, with which the shim is made for it, brings no <resolv.h>: these are its names and layout. */
#ifndef TELEPRESENCE_PRELOAD_RESOLVER_H
#define TELEPRESENCE_PRELOAD_RESOLVER_H

#ifdef __APPLE__
#include <netinet/in.h>
#include <stddef.h>

enum { QUERY = 0, HFIXEDSZ = 12, MAXDNAME = 1025, RES_TIMEOUT = 5, RES_DFLRETRY = 2 };

typedef struct resolver {
	int retrans, retry;
	unsigned long options;
	int nscount;
	struct sockaddr_in nsaddr_list[3];
	unsigned short id;
	char *dnsrch[7];
	char defdname[256];
	unsigned long pfcode;
	unsigned char ndots_and_nsort, unused[3];
	struct in_addr sort_list[10][2];
	void *hooks[2];
	int res_h_errno; /* the rest is the library's own */
} *res_state;

int res_9_mkquery(int op, const char *name, int class, int type, const unsigned char *data, int len,
		  const unsigned char *new_record, unsigned char *query, int room);

static inline int resolver_make_query(res_state state, const char *name, int class, int type,
				      unsigned char *query, int room)
{
	(void)state;
	return res_9_mkquery(QUERY, name, class, type, NULL, 0, NULL, query, room);
}

/* For the functions without one: nobody else looks at it. */
static inline res_state resolver_state(void)
{
	static struct resolver state;

	return &state;
}
#else
#include <arpa/nameser.h>
#include <netdb.h>
#include <resolv.h>

#include "real.h"

static inline int resolver_make_query(res_state state, const char *name, int class, int type,
				      unsigned char *query, int room)
{
	if (real(res_nmkquery) == NULL)
		return -1;
	return real(res_nmkquery)(state, QUERY, name, class, type, NULL, 0, NULL, query, room);
}

/* This thread's, made ready; NULL with h_errno. */
static inline res_state resolver_state(void)
{
	res_state state = &_res;

	if ((state->options & RES_INIT) == 0 && res_ninit(state) == -1) {
		h_errno = NETDB_INTERNAL;
		return NULL;
	}
	return state;
}
#endif

#endif
