#include "places.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where the new root is while it is made: what is there is mirrored like everything else. */
static const char STAGE[] = "/tmp";

static int make_point(const char *path, bool is_directory)
{
	if (is_directory)
		return mkdir(path, 0755);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	return fd == -1 ? -1 : close(fd);
}

/* One name of the directory `fd`, at the same name under `top`. */
static int mirror_entry(int fd, const char *name, const char *top, int stage)
{
	char from[PATH_MAX], to[PATH_MAX], link[PATH_MAX];
	struct stat s;
	snprintf(to, sizeof to, "%s/%s", top, name);
	bool is_stage = stage != -1 && strcmp(name, STAGE + 1) == 0;
	if (is_stage)
		snprintf(from, sizeof from, "/proc/self/fd/%d", stage);
	else
		snprintf(from, sizeof from, "/proc/self/fd/%d/%s", fd, name);
	if (fstatat(fd, name, &s, AT_SYMLINK_NOFOLLOW) == -1)
		return 0;  /* gone meanwhile */
	if (S_ISLNK(s.st_mode)) {
		ssize_t n = readlinkat(fd, name, link, sizeof link - 1);
		if (n == -1)
			return 0;
		link[n] = '\0';
		return symlink(link, to);
	}
	if (make_point(to, S_ISDIR(s.st_mode)) == -1)
		return -1;
	if (mount(from, to, NULL, MS_BIND | MS_REC, NULL) == -1 && errno != EACCES && errno != ENOENT)
		return -1;
	/* What is mounted on the stage, the new root itself, has come along and lies on top. */
	return is_stage ? umount2(to, MNT_DETACH) : 0;
}

static int mirror_entries(int fd, const char *top, int stage)
{
	int listed = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = listed == -1 ? NULL : fdopendir(listed);
	int result = directory == NULL ? -1 : 0;
	for (struct dirent *e; result == 0 && (e = readdir(directory)) != NULL;)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			result = mirror_entry(fd, e->d_name, top, stage);
	if (directory != NULL)
		closedir(directory);
	return result;
}

/* pivot_root(2), "pivot_root(".", ".")": the old root ends up below the new one, and is taken away. */
static int change_root(const char *top)
{
	if (chdir(top) == -1 || syscall(SYS_pivot_root, ".", ".") == -1)
		return -1;
	return umount2(".", MNT_DETACH) == -1 ? -1 : chdir("/");
}

static int mirror(struct places *p, const char *path)
{
	bool is_root = strcmp(path, "/") == 0;
	const char *top = is_root ? STAGE : path;
	struct stat s;
	int stage = -1, result = -1, fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (is_root)
		stage = open(STAGE, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (p->n == MIRRORS)
		errno = ENOSPC;
	else if (fd != -1 && (!is_root || stage != -1)
			 && mount("telepresence", top, "tmpfs", MS_NOSUID, "mode=0755") == 0
			 && stat(top, &s) == 0 && mirror_entries(fd, top, stage) == 0)
		result = is_root ? change_root(top) : 0;
	if (result == 0)
		p->made[p->n++] = s.st_dev;
	close(fd);
	if (stage != -1)
		close(stage);
	return result;
}

static bool is_ours(const struct places *p, dev_t device)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->made[i] == device)
			return true;
	return false;
}

int place_make(struct places *p, const char *path, bool is_directory)
{
	char above[PATH_MAX] = "/", here[PATH_MAX];
	struct stat s;
	for (const char *end = path; *end != '\0';) {
		end += strspn(end, "/");
		end += strcspn(end, "/");
		snprintf(here, sizeof here, "%.*s", (int)(end - path), path);
		if (stat(here, &s) == -1) {
			if (errno != ENOENT || stat(above, &s) == -1)
				return -1;
			if (!is_ours(p, s.st_dev) && mirror(p, above) == -1)
				return -1;
			if (make_point(here, *end != '\0' || is_directory) == -1)
				return -1;
		}
		strcpy(above, here);
	}
	return 0;
}
