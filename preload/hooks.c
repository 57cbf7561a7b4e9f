#include "hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "dial.h"
#include "flows.h"
#include "real.h"
#include "waits.h"

static int fail(int error)
{
	errno = error;
	return -1;
}

/* A TCP socket of the address's own family; for any other connect(2) libc's answer is right. */
static bool is_tcp(int fd, sa_family_t family)
{
	int domain = 0, type = 0;
	socklen_t len = sizeof type;

	if (real(getsockopt)(fd, SOL_SOCKET, SO_TYPE, &type, &len) == -1 || type != SOCK_STREAM)
		return false;
	len = sizeof domain;
	return real(getsockopt)(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == family;
}

/* connect(2) on a socket that has already been through dial_connect(). */
static int connect_again(int fd, struct flow *flow)
{
	bool blocking = (real(fcntl)(fd, F_GETFL) & O_NONBLOCK) == 0;
	int rc;

	if (flow->state == FLOW_UP && !flow->unannounced)
		return -EISCONN;
	rc = dial_settle(fd, blocking);
	if (rc == 0)
		dial_announced(fd);
	return rc;
}

int tp_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	int before = errno, rc;
	struct flow flow;

	if (addr == NULL || len < sizeof addr->sa_family ||
	    (addr->sa_family != AF_INET && addr->sa_family != AF_INET6)) {
		if (addr != NULL && len >= sizeof addr->sa_family && addr->sa_family == AF_UNSPEC)
			flow_drop(fd);
		return real(connect)(fd, addr, len);
	}
	if (len < (addr->sa_family == AF_INET ? sizeof(struct sockaddr_in) :
						sizeof(struct sockaddr_in6)) ||
	    !is_tcp(fd, addr->sa_family)) {
		errno = before;
		return real(connect)(fd, addr, len);
	}
	if (flow_read(fd, &flow)) {
		rc = connect_again(fd, &flow);
	} else if (dial_is_home(addr, len)) {
		flow_drop(fd);
		errno = before;
		return real(connect)(fd, addr, len);
	} else {
		flow_drop(fd);
		rc = dial_connect(fd, addr, len);
	}
	errno = rc == 0 ? before : -rc;
	return rc == 0 ? 0 : -1;
}

int tp_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
	socklen_t room = len == NULL ? 0 : *len;
	int before = errno;
	struct flow flow;

	if (flow_state(fd) == FLOW_PENDING && dial_look(fd) == -EALREADY)
		return fail(ENOTCONN);
	if (real(getpeername)(fd, addr, len) == -1)
		return -1;
	if (flow_state(fd) == FLOW_UP && flow_read(fd, &flow)) {
		memcpy(addr, &flow.target, room < flow.target_len ? room : flow.target_len);
		*len = flow.target_len;
	}
	errno = before;
	return 0;
}

int tp_getsockopt(int fd, int level, int option, void *value, socklen_t *len)
{
	int before = errno, rc;

	if (atomic_load(&flows_unsettled) == 0 || level != SOL_SOCKET || option != SO_ERROR ||
	    value == NULL || len == NULL || *len < sizeof rc || flow_state(fd) == FLOW_NONE)
		return real(getsockopt)(fd, level, option, value, len);
	/* Asked when the socket is believed writable.  If that belief did not come from here
	 * (waits.h), only the answer itself can make it true. */
	do
		rc = dial_settle(fd, true);
	while (rc == -EINTR || rc == -EINPROGRESS);
	errno = before;
	if (rc == 0)
		return real(getsockopt)(fd, level, option, value, len);
	rc = -rc;
	memcpy(value, &rc, sizeof rc);
	*len = sizeof rc;
	return 0;
}

int tp_settle_io(int fd, int flags)
{
	int before = errno, rc;
	bool wait;

	/* connect(2) by another name, past the server; programs know what to do without it. */
	if ((flags & MSG_FASTOPEN) != 0)
		return fail(EOPNOTSUPP);
	if (atomic_load(&flows_unsettled) == 0 || flow_state(fd) == FLOW_NONE ||
	    flow_state(fd) == FLOW_UP)
		return 0;
	wait = (flags & MSG_DONTWAIT) == 0 && (real(fcntl)(fd, F_GETFL) & O_NONBLOCK) == 0;
	rc = dial_settle(fd, wait);
	errno = rc == 0 ? before : rc == -EALREADY ? EAGAIN : -rc;
	return rc == 0 ? 0 : -1;
}

static void forget(int fd)
{
	int before = errno;

	if (flow_state(fd) == FLOW_NONE || !flows_ours())
		return;
	if (atomic_load(&flows_unsettled) != 0)
		waits_closed(fd);
	flow_drop(fd);
	errno = before;
}

int tp_close(int fd)
{
	forget(fd); /* first: afterwards the number may already be somebody else's */
	return real(close)(fd);
}

/* Two numbers for one socket: the answer must be eaten before, or both would wait for it. */
static void settle_before_copy(int fd)
{
	int before = errno;

	if (flow_state(fd) == FLOW_PENDING && flows_ours())
		while (dial_look(fd) == -EALREADY && dial_settle(fd, true) == -EINTR)
			;
	errno = before;
}

int tp_copied(int fd, int to)
{
	int before = errno;
	struct flow flow;

	if (to == -1 || to == fd)
		return to;
	forget(to);
	if (flow_state(fd) != FLOW_NONE && flow_read(fd, &flow) && flow.state == FLOW_UP)
		(void)flow_put(to, &flow);
	errno = before;
	return to;
}

int tp_dup(int fd)
{
	settle_before_copy(fd);
	return tp_copied(fd, real(dup)(fd));
}

int tp_dup2(int fd, int to)
{
	settle_before_copy(fd);
	return tp_copied(fd, real(dup2)(fd, to));
}

int tp_dup3(int fd, int to, int flags)
{
	settle_before_copy(fd);
	return tp_copied(fd, real(dup3)(fd, to, flags));
}
