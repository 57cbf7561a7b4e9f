/* The resolver(3) functions, for a program that asks for records itself: the pod's name server
 * answers.
 *
 * Called by: exports_names.c.
 * Owns: the connection of a question while it lasts.  Never: asks the laptop's name servers. */
#ifndef TELEPRESENCE_PRELOAD_RECORDS_H
#define TELEPRESENCE_PRELOAD_RECORDS_H

#include "resolver.h"

/* As res_nsend(3) and its kin. */
int records_send(res_state state, const unsigned char *query, int len, unsigned char *answer,
		int room);
int records_query(res_state state, const char *name, int class, int type, unsigned char *answer,
		 int room);
int records_querydomain(res_state state, const char *name, const char *domain, int class, int type,
		       unsigned char *answer, int room);
int records_search(res_state state, const char *name, int class, int type, unsigned char *answer,
		  int room);

#endif
