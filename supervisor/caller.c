#include "caller.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL /* Linux 6.9 */
#endif
enum { PAGE = 4096 }; /* or a multiple of it */

static struct iovec piece(uint64_t address, size_t len)
{
	return (struct iovec){(void *)(uintptr_t)address, len};
}

int caller_read(pid_t thread, uint64_t from, void *to, size_t len)
{
	struct iovec here = {to, len}, there = piece(from, len);
	ssize_t n = process_vm_readv(thread, &here, 1, &there, 1, 0);

	if (n == -1)
		return -errno;
	return (size_t)n == len ? 0 : -EFAULT;
}

int caller_write(pid_t thread, uint64_t to, const void *from, size_t len)
{
	struct iovec here = {(void *)(uintptr_t)from, len}, there = piece(to, len);
	ssize_t n = process_vm_writev(thread, &here, 1, &there, 1, 0);

	if (n == -1)
		return -errno;
	return (size_t)n == len ? 0 : -EFAULT;
}

ssize_t caller_read_text(pid_t thread, uint64_t from, char *to, size_t room)
{
	size_t len = 0;

	while (len < room) {
		size_t step = PAGE - (from + len) % PAGE; /* the next page may not be there */
		const char *end;
		int rc;

		if (step > room - len)
			step = room - len;
		rc = caller_read(thread, from + len, to + len, step);
		if (rc != 0)
			return rc;
		end = memchr(to + len, '\0', step);
		if (end != NULL)
			return end - to;
		len += step;
	}
	return -ENAMETOOLONG;
}

/* The process of a thread, from proc(5), for kernels whose pidfds know processes alone. */
static pid_t process_of(pid_t thread)
{
	char path[32], text[1024];
	const char *line;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof path, "/proc/%d/status", (int)thread);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return thread;
	n = read(fd, text, sizeof text - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	line = strstr(text, "\nTgid:");
	return line == NULL ? thread : (pid_t)strtol(line + 6, NULL, 10);
}

static int open_pidfd(pid_t thread)
{
	long pidfd = syscall(SYS_pidfd_open, thread, PIDFD_THREAD);

	if (pidfd == -1 && errno == EINVAL)
		pidfd = syscall(SYS_pidfd_open, process_of(thread), 0);
	return (int)pidfd;
}

int caller_take_fd(pid_t thread, int fd)
{
	int pidfd = open_pidfd(thread), error;
	long taken;

	if (pidfd == -1)
		return -errno;
	taken = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	error = errno;
	close(pidfd);
	return taken == -1 ? -error : (int)taken;
}
