/* Bytes of one direction on their way from a socket to another.
 *
 * Called by: pair.c.
 * Owns: what the bytes are in while they are under way; it is borrowed from the engine and goes
 * back as soon as it is empty, so an idle connection holds nothing.  Never: owns the sockets.
 * One file per kernel interface implements it: pump_splice.c, where the bytes do not enter user
 * space (splice(2)), and pump_copy.c. */
#ifndef TELEPRESENCE_PUMP_H
#define TELEPRESENCE_PUMP_H

#include <stddef.h>
#include <sys/types.h>

struct block;
struct engine;

struct pump {
	int pipe[2];	     /* splice: -1 when none is needed */
	struct block *block; /* copy: NULL when none is needed */
	size_t held;	     /* bytes under way */
};

void pump_init(struct pump *pump);
/* When held is 0.  Bytes pulled from `from`, 0 at its end of file, or -errno. -EAGAIN: it is dry. */
ssize_t pump_fill(struct pump *pump, struct engine *engine, int from);
/* When held is > 0.  Bytes pushed into `to`, or -errno.  -EAGAIN: it is full. */
ssize_t pump_drain(struct pump *pump, int to);
/* Give back what was borrowed; bytes that are held are lost. */
void pump_rest(struct pump *pump, struct engine *engine);
/* At the end of the engine: what it keeps for pumps. */
void pumps_clear(struct engine *engine);

#endif
