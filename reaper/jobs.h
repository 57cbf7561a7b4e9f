/* Job control between the shell outside and one that the user runs inside.
 *
 * Called by: main.c, and supervisor/program.c, which stands between the two; each on its child's behalf.
 * Owns: nothing.  The caller blocks SIGTSTP and SIGTTOU, and is in the process group of the command.
 * Never: stops or continues a program that has no process group of its own: the terminal does that. */
#ifndef TELEPRESENCE_REAPER_JOBS_H
#define TELEPRESENCE_REAPER_JOBS_H

#include <sys/types.h>

/* At SIGCHLD.  A shell that has the terminal stopped itself: so does the command, that the shell outside
 * is heard again.  The kernel leaves a group alone that has nobody outside: POSIX, "orphaned process
 * group". */
void jobs_follow_stop(pid_t child);
/* At SIGCONT.  We go on: so does it, with the terminal if that is ours again. */
void jobs_follow_continuation(pid_t child);

#endif
