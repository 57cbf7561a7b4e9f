/* The program: started behind the filter, its signals and its end.
 *
 * Called by: main.c.
 * Owns: the child, until it has ended; it ends with the supervisor.
 * Never: gets in the way of its terminal: the program stays in our process group, and what the
 * terminal sends reaches it anyway. */
#ifndef TELEPRESENCE_SUPERVISOR_PROGRAM_H
#define TELEPRESENCE_SUPERVISOR_PROGRAM_H

#include <sys/types.h>

struct program {
	pid_t pid;
	int signals; /* readable: program_signal() */
};

/* The listener of its filter, or -errno. */
int program_start(struct program *program, const char *path, char **argv);
/* A signal for us: its exit code when it has ended, else -1. */
int program_signal(struct program *program, int signals);
/* Can this machine do it at all?  0, or 1 with the reason on standard output. */
int program_check(void);

#endif
