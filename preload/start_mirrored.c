#include "start.h"

#if START_MIRRORED

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "mirror.h"

/* With the NULL behind them. */
static size_t count(char *const argv[])
{
	size_t n = 1;

	while (argv != NULL && argv[n - 1] != NULL)
		n++;
	return n;
}

/* What the kernel would make of a script's first line: its words, the path, the arguments. */
static void merge(const struct mirror_start *how, const char *path, char *const argv[],
		  const char **out)
{
	size_t k = 0;

	for (int i = 0; i < how->n_words; i++)
		out[k++] = how->words[i];
	out[k++] = path;
	for (size_t i = 1; i < count(argv); i++)
		out[k++] = argv[i];
	if (count(argv) == 1)
		out[k] = NULL;
}

/* posix_spawn(3), or with pid NULL and `instead` execve(2): 0 or an errno. */
static int begin(bool instead, pid_t *pid, const char *path,
		 const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
		 char *const argv[], char *const env[])
{
	if (!instead)
		return posix_spawn(pid, path, actions, attributes, argv, env);
	return execve(path, argv, env) == -1 ? errno : 0;
}

static int start(bool instead, pid_t *pid, const char *path,
		 const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
		 char *const argv[], char *const env[])
{
	struct mirror_start how;

	if (!mirror_find(mirror_folder(), path, &how))
		return begin(instead, pid, path, actions, attributes, argv, env);
	const char *words[(size_t)how.n_words + 1 + count(argv)];

	if (how.n_words == 0)
		return begin(instead, pid, how.program, actions, attributes, argv, env);
	merge(&how, path, argv, words);
	return begin(instead, pid, how.program, actions, attributes, (char *const *)words, env);
}

/* As execvp(3): each folder of PATH; a file without a first line is a script of sh. */
static int search(bool instead, pid_t *pid, const char *file,
		  const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
		  char *const argv[], char *const env[])
{
	const char *path = getenv("PATH"), *next;
	char at[MIRROR_PATH_MAX];
	int rc = ENOENT, denied = 0;

	if (strchr(file, '/') != NULL || *file == '\0')
		return start(instead, pid, file, actions, attributes, argv, env);
	for (path = path == NULL ? "/usr/bin:/bin" : path; path != NULL; path = next) {
		size_t len = strcspn(path, ":");

		next = path[len] == ':' ? path + len + 1 : NULL;
		if (len + strlen(file) + 2 > sizeof at)
			continue;
		memcpy(at, len == 0 ? "." : path, len == 0 ? 1 : len);
		at[len == 0 ? 1 : len] = '/';
		strcpy(at + (len == 0 ? 1 : len) + 1, file);
		rc = start(instead, pid, at, actions, attributes, argv, env);
		if (rc == EACCES)
			denied = rc;
		else if (rc != ENOENT && rc != ENOTDIR && rc != ELOOP && rc != ENAMETOOLONG)
			break;
	}
	if (rc == ENOEXEC) {
		const char *words[2 + count(argv)];
		struct mirror_start how = {.words = {"sh"}, .n_words = 1};

		merge(&how, at, argv, words);
		rc = start(instead, pid, "/bin/sh", actions, attributes, (char *const *)words, env);
	}
	return rc == ENOENT && denied != 0 ? denied : rc;
}

static int failed(int error)
{
	errno = error;
	return -1;
}

int start_execve(const char *path, char *const argv[], char *const env[])
{
	return failed(start(true, NULL, path, NULL, NULL, argv, env));
}

int start_execvpe(const char *file, char *const argv[], char *const env[])
{
	return failed(search(true, NULL, file, NULL, NULL, argv, env));
}

int start_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		const posix_spawnattr_t *attributes, char *const argv[], char *const env[])
{
	return start(false, pid, path, actions, attributes, argv, env);
}

int start_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
		 const posix_spawnattr_t *attributes, char *const argv[], char *const env[])
{
	return search(false, pid, file, actions, attributes, argv, env);
}

#endif
