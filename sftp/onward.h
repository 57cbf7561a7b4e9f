/* A file that is read from front to back: what comes next is asked of the pod before sshfs asks.
 *
 * The kernel reads 128 KiB of a file ahead, less than what is under way at any distance.  Here a window of
 * up to WINDOW_MAX is; it grows while answers come about as soon as the soonest one did, so that the
 * line is full and nobody else's question waits behind what it does not hold yet.
 *
 * Called by: relay.c.  Owns: the pieces, and the client's packets that wait for one.
 * Never: a descriptor; tells of bytes that are older than FRESH_S, or where the file ends: that is
 * always asked of the pod. */
#ifndef ONWARD_H
#define ONWARD_H

#include "relay.h"

enum { PIECE_BYTES = 1 << 17, PIECES = 256 };  /* of all files together: 32 MiB */
enum { RUN_BYTES = 1 << 18, WINDOW_MIN = 1 << 19, WINDOW_MAX = 8 << 20 };

struct onward *onward_open(struct relay *r);

/* Whether the client's packet is answered, or will be. */
bool onward_knows(struct onward *o, uint8_t type, uint32_t id, struct cursor body);
/* The server's answer to one of ours; FXP_STATUS without a body: none will come. */
void onward_fetched(struct onward *o, struct piece *p, uint8_t type, struct cursor body);
/* No answer will come to anything. */
void onward_give_up(struct onward *o);

#endif
