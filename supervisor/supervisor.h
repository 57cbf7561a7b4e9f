/* What every part of the supervisor works with.
 *
 * Called by: everything here.  Owns: nothing; main.c makes it.  Never: more than one. */
#ifndef TELEPRESENCE_SUPERVISOR_SUPERVISOR_H
#define TELEPRESENCE_SUPERVISOR_SUPERVISOR_H

#include <stdbool.h>

#include "loop.h"
#include "settings.h"

struct peer;

struct supervisor {
	struct loop loop;
	int listener; /* of seccomp */
	int log;      /* one line each; -1: none */
	bool closed_told; /* that a program keeps even its own user out: told once */
	const struct settings *settings;
	struct peer *peers;
	struct list dials;
};

#endif
