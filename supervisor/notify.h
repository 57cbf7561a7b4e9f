/* System calls that the kernel holds, and their answers.
 *
 * Called by: main.c (what comes in), everything that carries a call out (the answers).
 * Owns: nothing.  Never: decides.
 *
 * Source: seccomp_unotify(2). */
#ifndef TELEPRESENCE_SUPERVISOR_NOTIFY_H
#define TELEPRESENCE_SUPERVISOR_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct call {
	uint64_t id;
	pid_t thread;
	int number;
	uint64_t args[6];
};

/* The supervisor and the program take turns, so let them do it on one processor (Linux 6.6). */
void notify_take_turns(int listener);
/* 1 with `out`, 0 when the program did not wait for an answer after all, or -errno. */
int notify_receive(int listener, struct call *out);
/* Does it still wait?  After a no, what was read of it may be another's. */
bool notify_alive(int listener, uint64_t id);
/* Each: false when it did not wait any more, so it never hears the answer. */
/* What the call returns, or -errno. */
bool notify_answer(int listener, uint64_t id, int64_t result);
/* The kernel carries the call out as if nobody had asked. */
bool notify_continue(int listener, uint64_t id);

#endif
