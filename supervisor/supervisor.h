/* What every part of the supervisor works with.
 *
 * Called by: everything here.  Owns: nothing; main.c makes it.  Never: more than one. */
#ifndef TELEPRESENCE_SUPERVISOR_SUPERVISOR_H
#define TELEPRESENCE_SUPERVISOR_SUPERVISOR_H

#include <stdbool.h>
#include <sys/types.h>

#include "loop.h"
#include "peers.h"
#include "settings.h"

struct names;

enum { TOLD_MAX = 64, FAILURES_MAX = 64 };

struct supervisor {
	struct loop loop;
	int listener; /* of seccomp */
	int log;      /* one line each; -1: none */
	bool closed_told; /* that a program keeps even its own user out: told once */
	struct {
		dev_t device;
		ino_t inode;
	} told[TOLD_MAX]; /* programs that the log has a line about */
	size_t n_told;
	const struct settings *settings;
	struct peer *peers;
	struct list dials;
	int64_t answer_ms; /* how long the pod took for the last connect */
	struct list detours, relays;
	int door, waiting; /* detour.c's; -1: not open */
	union target door_address;
	struct {
		uint64_t cookie;
		int error;
	} failures[FAILURES_MAX]; /* of detours, until they are told; the oldest makes way */
	size_t next_failure;
	struct list receives; /* calls that wait for a datagram */
	struct names *names;
	struct list flows;
	size_t n_flows, flows_max; /* at flows_max those whose sockets are closed make way */
	struct timer flow_sweep;
};

#endif
