/* The names of libc that start other programs.  Each repairs the environment (exec.h) on its own
 * stack: an exec that succeeds never comes back to free anything.
 *
 * Called by: the program and its libraries, through the dynamic linker (exports.map).
 * Owns: nothing.  Never: decides; starts anything else than it was told. */
#include <errno.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include "exec.h"
#include "export.h"
#include "label.h"
#include "real.h"
#include "start.h"

#ifdef __APPLE__
#include <crt_externs.h>

#define environ (*_NSGetEnviron()) /* environ(7) of macOS: a library has no such name */
#else
extern char **environ;
#endif

/* A max_align_t for each started one of `bytes`; VLAs may not be empty. */
#define ROOM(bytes) ((bytes) / sizeof(max_align_t) + 1)

static int run(const char *path, char *const argv[], char *const env[])
{
	size_t bytes = exec_room(env);
	max_align_t room[ROOM(bytes)];

	label_all();
	return start_execve(path, argv, bytes == 0 ? env : exec_repair(env, room));
}

static int run_found(const char *file, char *const argv[], char *const env[])
{
	size_t bytes = exec_room(env);
	max_align_t room[ROOM(bytes)];

	label_all();
	return start_execvpe(file, argv, bytes == 0 ? env : exec_repair(env, room));
}

EXPORT(int, execve)(const char *path, char *const argv[], char *const env[])
{
	return run(path, argv, env);
}

EXPORT(int, execv)(const char *path, char *const argv[])
{
	return run(path, argv, environ);
}

EXPORT(int, execvp)(const char *file, char *const argv[])
{
	return run_found(file, argv, environ);
}

/* How many arguments there are, with the NULL behind them. */
static size_t count(va_list list)
{
	size_t n = 2;

	while (va_arg(list, char *) != NULL)
		n++;
	return n;
}

static void gather(char **argv, const char *first, va_list list)
{
	argv[0] = (char *)(ptrdiff_t)first;
	for (size_t i = 1; (argv[i] = va_arg(list, char *)) != NULL; i++)
		;
}

EXPORT(int, execl)(const char *path, const char *first, ...)
{
	va_list list;
	size_t n;

	va_start(list, first);
	n = count(list);
	va_end(list);
	char *argv[n];
	va_start(list, first);
	gather(argv, first, list);
	va_end(list);
	return run(path, argv, environ);
}

EXPORT(int, execlp)(const char *file, const char *first, ...)
{
	va_list list;
	size_t n;

	va_start(list, first);
	n = count(list);
	va_end(list);
	char *argv[n];
	va_start(list, first);
	gather(argv, first, list);
	va_end(list);
	return run_found(file, argv, environ);
}

EXPORT(int, execle)(const char *path, const char *first, ...)
{
	char *const *env;
	va_list list;
	size_t n;

	va_start(list, first);
	n = count(list);
	va_end(list);
	char *argv[n];
	va_start(list, first);
	gather(argv, first, list);
	env = va_arg(list, char *const *);
	va_end(list);
	return run(path, argv, env);
}

EXPORT(int, posix_spawn)(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
			 const posix_spawnattr_t *attributes, char *const argv[], char *const env[])
{
	size_t bytes = exec_room(env);
	max_align_t room[ROOM(bytes)];

	label_all();
	return start_spawn(pid, path, actions, attributes, argv,
				 bytes == 0 ? env : exec_repair(env, room));
}

EXPORT(int, posix_spawnp)(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
			  const posix_spawnattr_t *attributes, char *const argv[],
			  char *const env[])
{
	size_t bytes = exec_room(env);
	max_align_t room[ROOM(bytes)];

	label_all();
	return start_spawnp(pid, file, actions, attributes, argv,
				  bytes == 0 ? env : exec_repair(env, room));
}

#ifdef __linux__
EXPORT(int, execvpe)(const char *file, char *const argv[], char *const env[])
{
	return run_found(file, argv, env);
}

EXPORT(int, fexecve)(int fd, char *const argv[], char *const env[])
{
	size_t bytes = exec_room(env);
	max_align_t room[ROOM(bytes)];

	label_all();
	return real(fexecve)(fd, argv, bytes == 0 ? env : exec_repair(env, room));
}

EXPORT(int, execveat)(int fd, const char *path, char *const argv[], char *const env[], int flags)
{
	size_t bytes = exec_room(env);
	max_align_t room[ROOM(bytes)];

	label_all();
	return real(execveat)(fd, path, argv, bytes == 0 ? env : exec_repair(env, room), flags);
}
#endif
