/* Starts a program in the ways of start.h:  start HOW FILE ARGUMENT...
 *
 * Called by: test_macos.py.  Owns: nothing.  Never: without a time limit of its caller's. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "mirror.h"
#include "start.h"

extern char **environ;

static int wait_for(int error, pid_t pid)
{
	int status;

	if (error != 0)
		return error;
	if (waitpid(pid, &status, 0) == -1)
		return 99;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

int main(int argc, char **argv)
{
	pid_t pid = -1;

	if (argc < 3)
		return 97;
	mirror_prepare();
	if (strcmp(argv[1], "execve") == 0)
		(void)start_execve(argv[2], argv + 2, environ);
	else if (strcmp(argv[1], "execvpe") == 0)
		(void)start_execvpe(argv[2], argv + 2, environ);
	else if (strcmp(argv[1], "spawn") == 0)
		return wait_for(start_spawn(&pid, argv[2], NULL, NULL, argv + 2, environ), pid);
	else if (strcmp(argv[1], "spawnp") == 0)
		return wait_for(start_spawnp(&pid, argv[2], NULL, NULL, argv + 2, environ), pid);
	perror(argv[2]);
	return 96;
}
