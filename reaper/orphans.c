/* Who is a child of this process is read from /proc, as most are born to others: proc(5), PID/stat. */
#include "orphans.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TOLD_MAX = 4096, STAT_BYTES = 512 };

struct told {
	pid_t pids[TOLD_MAX];
	size_t count;
};

int orphans_reap(struct outcome *main)
{
	int status;
	pid_t ended;

	while ((ended = waitpid(-1, &status, WNOHANG)) > 0)
		if (ended == main->pid)
			main->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return ended == -1 && errno == ECHILD;
}

/* 0 when it is gone. */
static pid_t parent_of(const char *pid)
{
	char path[64], line[STAT_BYTES];
	const char *after;
	size_t len;
	FILE *file;
	int parent = 0;

	(void)snprintf(path, sizeof path, "/proc/%.16s/stat", pid);
	file = fopen(path, "re");
	if (file == NULL)
		return 0;
	len = fread(line, 1, sizeof line - 1, file);
	(void)fclose(file);
	line[len] = '\0';
	after = strrchr(line, ')'); /* the name may have anything in it */
	if (after == NULL || sscanf(after, ") %*c %d", &parent) != 1)
		return 0;
	return parent;
}

static int is_told(const struct told *told, pid_t pid)
{
	for (size_t i = 0; i < told->count; i++)
		if (told->pids[i] == pid)
			return 1;
	return 0;
}

/* Once each: a second SIGTERM makes some programs give up their own cleaning up. */
static void tell(struct told *told, int number)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	if (proc == NULL)
		return;
	while ((entry = readdir(proc)) != NULL) {
		pid_t pid = (pid_t)atoi(entry->d_name);
		if (pid <= 0 || parent_of(entry->d_name) != getpid() || is_told(told, pid))
			continue;
		(void)kill(pid, number);
		(void)kill(pid, SIGCONT); /* a stopped one hears it, too */
		if (told->count < TOLD_MAX)
			told->pids[told->count++] = pid;
	}
	(void)closedir(proc);
}

static long left_ms(const struct timespec *until)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (until->tv_sec - now.tv_sec) * 1000 + (until->tv_nsec - now.tv_nsec) / 1000000;
}

int orphans_end(struct outcome *main, int number, int grace_ms)
{
	struct told told = { .count = 0 };
	struct timespec until;
	sigset_t ends;
	long left;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += grace_ms / 1000;
	until.tv_nsec += grace_ms % 1000 * 1000000L;
	sigemptyset(&ends);
	sigaddset(&ends, SIGCHLD);
	while (!orphans_reap(main)) {
		struct timespec wait;
		tell(&told, number);
		left = left_ms(&until);
		if (left <= 0)
			return 0;
		wait = (struct timespec){ left / 1000, left % 1000 * 1000000L };
		(void)sigtimedwait(&ends, NULL, &wait);
	}
	return 1;
}
