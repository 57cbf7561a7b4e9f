/* New programs are in the pod as well: the environment that they get still names the shim.
 *
 * Called by: exports_exec.c; shim.c at load.
 * Owns: copies of the variables that this process was started with.
 * Never: allocates (a child of vfork(2) shares its parent's memory); changes what the program sees
 * of its own environment; adds anything to a program that has it all. */
#ifndef TELEPRESENCE_PRELOAD_EXEC_H
#define TELEPRESENCE_PRELOAD_EXEC_H

#include <stddef.h>

/* At load, with the process's own environment. */
void exec_prepare(void);

/* 0: `env` has all; else how many bytes exec_repair() needs. */
size_t exec_room(char *const env[]);
/* An environment in `room` that begins with what was missing and goes on with `env`. */
char *const *exec_repair(char *const env[], void *room);

#endif
