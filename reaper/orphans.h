/* The children of this process, of which it did not start all. */
#pragma once
#include <sys/types.h>

/* How the one that counts has ended: its exit code, or 128 + the signal's number; -1: not yet. */
struct outcome {
	pid_t pid;
	int code;
};

/* Take in every child that has ended.  Returns 0, or 1 when there is none left. */
int orphans_reap(struct outcome *main);

/* Send the signal to each child, and to those who become one meanwhile, until all have ended or the
 * time is over.  Blocks.  SIGCHLD has to be blocked.  Returns 1 when none is left, else 0. */
int orphans_end(struct outcome *main, int number, int grace_ms);
