/* telepresence-realpaths ROOT [VOLUME ...] -- PROGRAM ARG0 [ARG ...]
 * telepresence-realpaths --check
 *
 * Run a program in a mount namespace of its own, in which ROOT/VOLUME is at VOLUME.  Who is not root
 * gets a user namespace as well, in which they are themselves: user_namespaces(7).
 *
 * Called by: src/telepresence/volumes/realpaths.py.  Owns: the namespace, which ends with the program.
 * Never: changes a directory of the laptop; keeps a capability past exec. */
#include "places.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FAILED = 125 };

static _Noreturn void fail(const char *what, const char *which)
{
	fprintf(stderr, "telepresence-realpaths: %s %s: %s\n", what, which, strerror(errno));
	exit(FAILED);
}

static void write_line(const char *path, const char *line)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(line);
	if (fd == -1 || write(fd, line, len) != (ssize_t)len)
		fail("cannot write", path);
	close(fd);
}

static void enter_namespaces(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char line[64];
	if (unshare(CLONE_NEWNS | (uid == 0 ? 0 : CLONE_NEWUSER)) == -1)
		fail("this kernel allows no", uid == 0 ? "mount namespace" : "user namespace");
	if (uid != 0) {
		write_line("/proc/self/setgroups", "deny");
		snprintf(line, sizeof line, "%u %u 1\n", uid, uid);
		write_line("/proc/self/uid_map", line);
		snprintf(line, sizeof line, "%u %u 1\n", gid, gid);
		write_line("/proc/self/gid_map", line);
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) == -1)
		fail("cannot detach", "the mounts");
}

static void bind_volume(struct places *p, const char *root, const char *volume)
{
	char source[PATH_MAX];
	struct stat s;
	if ((size_t)snprintf(source, sizeof source, "%s%s", root, volume) >= sizeof source) {
		errno = ENAMETOOLONG;
		fail("cannot find", volume);
	}
	if (stat(source, &s) == -1)
		fail("cannot find", source);
	if (place_make(p, volume, S_ISDIR(s.st_mode)) == -1)
		fail("cannot make a place for", volume);
	if (mount(source, volume, NULL, MS_BIND | MS_REC, NULL) == -1)
		fail("cannot mount", volume);
}

int main(int argc, char **argv)
{
	char directory[PATH_MAX];
	struct places places = { .n = 0 };
	int i = 2;
	if (argc == 2 && strcmp(argv[1], "--check") == 0) {
		enter_namespaces();
		return 0;
	}
	while (i < argc && strcmp(argv[i], "--") != 0)
		i++;
	if (i + 2 >= argc) {
		fprintf(stderr, "usage: telepresence-realpaths ROOT [VOLUME ...] -- PROGRAM ARG0 [ARG ...]\n");
		return 2;
	}
	if (getcwd(directory, sizeof directory) == NULL)
		fail("cannot find", "the current directory");
	enter_namespaces();
	for (int volume = 2; volume < i; volume++)
		bind_volume(&places, argv[1], argv[volume]);
	if (chdir(directory) == -1)
		fail("cannot go back to", directory);
	execv(argv[i + 1], argv + i + 2);
	fail("cannot start", argv[i + 1]);
}
