/* syscall(2) of libc: the calls that the shim takes, by number.  What is not named here goes on.
 *
 * Called by: programs that go past libc's own functions, and libc-less ways of some libraries.
 * Owns: nothing.  Never: sees a system call that is made without libc. */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "export.h"
#include "hooks.h"
#include "io.h"
#include "real.h"
#include "waits.h"

/* The shim's own functions have libc's names, which bind to the shim itself here. */
static long on_sockets(long number, const long a[6], int *known)
{
	const int fd = (int)a[0];

	*known = 1;
	switch (number) {
	case SYS_connect:
		return connect(fd, (const struct sockaddr *)a[1], (socklen_t)a[2]);
	case SYS_getpeername:
		return getpeername(fd, (struct sockaddr *)a[1], (socklen_t *)a[2]);
	case SYS_getsockname:
		return getsockname(fd, (struct sockaddr *)a[1], (socklen_t *)a[2]);
	case SYS_getsockopt:
		return getsockopt(fd, (int)a[1], (int)a[2], (void *)a[3], (socklen_t *)a[4]);
	case SYS_listen:
		return listen(fd, (int)a[1]);
	case SYS_sendto:
		return sendto(fd, (const void *)a[1], (size_t)a[2], (int)a[3],
			      (const struct sockaddr *)a[4], (socklen_t)a[5]);
	case SYS_sendmsg:
		return sendmsg(fd, (const struct msghdr *)a[1], (int)a[2]);
	case SYS_sendmmsg:
		return sendmmsg(fd, (struct mmsghdr *)a[1], (unsigned)a[2], (int)a[3]);
	case SYS_recvfrom:
		return recvfrom(fd, (void *)a[1], (size_t)a[2], (int)a[3], (struct sockaddr *)a[4],
				(socklen_t *)a[5]);
	case SYS_recvmsg:
		return recvmsg(fd, (struct msghdr *)a[1], (int)a[2]);
	case SYS_recvmmsg:
		return recvmmsg(fd, (struct mmsghdr *)a[1], (unsigned)a[2], (int)a[3],
				(struct timespec *)a[4]);
	default:
		*known = 0;
		return -1;
	}
}

static long on_descriptors(long number, const long a[6], int *known)
{
	const int fd = (int)a[0];

	*known = 1;
	switch (number) {
	case SYS_close:
		return close(fd);
	case SYS_close_range:
		return tp_close_range((unsigned)a[0], (unsigned)a[1], (int)a[2]);
	case SYS_dup:
		return dup(fd);
#ifdef SYS_dup2 /* newer architectures have dup3 alone */
	case SYS_dup2:
		return dup2(fd, (int)a[1]);
#endif
	case SYS_dup3:
		return dup3(fd, (int)a[1], (int)a[2]);
	case SYS_read:
		return read(fd, (void *)a[1], (size_t)a[2]);
	case SYS_write:
		return write(fd, (const void *)a[1], (size_t)a[2]);
	case SYS_execve:
		return execve((const char *)a[0], (char *const *)a[1], (char *const *)a[2]);
	case SYS_execveat:
		return execveat(fd, (const char *)a[1], (char *const *)a[2], (char *const *)a[3],
				(int)a[4]);
	default:
		*known = 0;
		return -1;
	}
}

EXPORT(long, syscall)(long number, ...)
{
	long a[6], result;
	va_list list;
	int known;

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	result = on_sockets(number, a, &known);
	if (!known)
		result = on_descriptors(number, a, &known);
	return known ? result : real(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
