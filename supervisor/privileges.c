#include "privileges.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "asked.h"
#include "caller.h"
#include "report.h"

enum { PATH_ROOM = PATH_MAX + 64 }; /* with /proc/NUMBER/fd/NUMBER/ in front */

/* The program's path as this process can open it: false when it cannot be told. */
static bool find_path(const struct call *call, char *out)
{
	bool at = call->number == SYS_execveat;
	int folder = at ? (int)call->args[0] : AT_FDCWD, head = 0;
	char path[PATH_MAX];

	if (caller_read_text(call->thread, call->args[at ? 1 : 0], path, sizeof path) < 0)
		return false;
	if (path[0] != '/' && folder == AT_FDCWD)
		head = snprintf(out, PATH_ROOM, "/proc/%d/cwd/", (int)call->thread);
	else if (path[0] != '/')
		head = snprintf(out, PATH_ROOM, "/proc/%d/fd/%d/", (int)call->thread, folder);
	return snprintf(out + head, (size_t)(PATH_ROOM - head), "%s", path) > 0;
}

/* Its calls have other numbers, which the filter refuses.  elf(5) */
static bool is_narrow(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char head[EI_NIDENT] = {0};
	bool narrow;

	if (fd == -1)
		return false;
	narrow = read(fd, head, sizeof head) == sizeof head &&
		 memcmp(head, ELFMAG, SELFMAG) == 0 && head[EI_CLASS] == ELFCLASS32;
	close(fd);
	return narrow && sizeof(void *) == 8;
}

/* Against the user of this process, who is the program's. */
static const char *what_is_odd(const char *path, const struct stat *status)
{
	if ((status->st_mode & S_ISUID) != 0 && status->st_uid != geteuid())
		return "(setuid) runs without the rights that would give it";
	if ((status->st_mode & S_ISGID) != 0 && status->st_gid != getegid())
		return "(setgid) runs without the rights that would give it";
	if (getxattr(path, "security.capability", NULL, 0) > 0)
		return "(capabilities of its own) runs without the rights that would give it";
	/* A file of another kind, a pipe say, is not even looked into. */
	if (S_ISREG(status->st_mode) && is_narrow(path))
		return "is a 32-bit program: its connections fail with ENOSYS";
	return NULL;
}

static bool is_told(struct supervisor *sup, const struct stat *status)
{
	for (size_t i = 0; i < sup->n_told; i++)
		if (sup->told[i].device == status->st_dev && sup->told[i].inode == status->st_ino)
			return true;
	if (sup->n_told == TOLD_MAX)
		return true;
	sup->told[sup->n_told].device = status->st_dev;
	sup->told[sup->n_told++].inode = status->st_ino;
	return false;
}

void privileges_take(struct supervisor *sup, const struct call *call)
{
	char path[PATH_ROOM];
	struct stat status;
	const char *why;

	if (find_path(call, path) && stat(path, &status) == 0 &&
	    (why = what_is_odd(path, &status)) != NULL && notify_alive(sup->listener, call->id) &&
	    !is_told(sup, &status))
		report(sup->log, "%s %s", path, why);
	asked_leave(sup, call);
}
