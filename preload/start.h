/* The system's own ways to start a program, which on macOS lead to the copy of a protected one.
 *
 * Called by: exports_exec.c, with an environment that names the shim.
 * Owns: nothing.  Never: allocates (a child of vfork(2) shares its parent's memory). */
#ifndef TELEPRESENCE_PRELOAD_START_H
#define TELEPRESENCE_PRELOAD_START_H

#include <spawn.h>
#include <unistd.h>

/* 1 on Linux for a test: what it does there is what it does on macOS. */
#ifndef START_MIRRORED
#ifdef __APPLE__
#define START_MIRRORED 1
#else
#define START_MIRRORED 0
#endif
#endif

#if START_MIRRORED
/* start_mirrored.c.  As execve(2), execvpe(3), posix_spawn(3), posix_spawnp(3). */
int start_execve(const char *path, char *const argv[], char *const env[]);
int start_execvpe(const char *file, char *const argv[], char *const env[]);
int start_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		const posix_spawnattr_t *attributes, char *const argv[], char *const env[]);
int start_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
		 const posix_spawnattr_t *attributes, char *const argv[], char *const env[]);
#else
#include "real.h"

#define start_execve real(execve)
#define start_execvpe real(execvpe)
#define start_spawn real(posix_spawn)
#define start_spawnp real(posix_spawnp)
#endif

#endif
