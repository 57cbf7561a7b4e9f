/* What a program that has listed a directory will read next: its small files, fetched all at once.
 *
 * One after the other costs two round trips a file.  So when a listing of a volume comes by, links are
 * looked up and files up to SMALL_BYTES are read, all at the same time; what sshfs then asks is
 * answered from here, for FRESH_S.  A change made through this relay throws all of it away.
 *
 * Called by: relay.c.  Owns: the fetched files, held listings, and the handles it hands out.
 * Never: a descriptor; more than KEPT_BYTES of files. */
#ifndef AHEAD_H
#define AHEAD_H

#include "relay.h"

/* `volumes`: the directories, without a slash at their end, below which this is done. */
struct ahead *ahead_open(struct relay *r, char *const *volumes);

/* Whether the client's packet is answered, or will be. */
bool ahead_knows(struct ahead *h, uint8_t type, uint32_t id, const unsigned char *body,
				 size_t n_bytes);
/* The directory that this packet opens or reads, for the answer's sake: malloc'd, or NULL. */
char *ahead_path(struct ahead *h, uint8_t type, struct cursor body);
/* Whether the server's answer to the client is held back; it will be given later. */
bool ahead_holds(struct ahead *h, struct asked *a, uint8_t type, const unsigned char *body,
				 size_t n_bytes);
/* The server's answer to one of ours; FXP_STATUS without a body: none will come. */
void ahead_fetched(struct ahead *h, struct fetch *f, uint8_t type, const unsigned char *body,
				   size_t n_bytes);

/* No answer will come to anything: whoever waits for a file that was not even asked for is told. */
void ahead_give_up(struct ahead *h);

#endif
