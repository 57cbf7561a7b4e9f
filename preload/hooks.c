#include "hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#ifdef __linux__
#include <linux/close_range.h>
#endif
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "datagram.h"
#include "dial.h"
#include "facts.h"
#include "flows.h"
#include "home.h"
#include "label.h"
#include "log.h"
#include "real.h"
#include "shim.h"
#include "waits.h"

static int fail(int error)
{
	errno = error;
	return -1;
}

/* SOCK_STREAM for a TCP socket of the address's own family, SOCK_DGRAM for one of UDP that can send
 * there; 0: for any other connect(2) libc's answer is right. */
static int kind_of(int fd, sa_family_t family)
{
	int type = 0;
	socklen_t len = sizeof type;

	if (real(getsockopt)(fd, SOL_SOCKET, SO_TYPE, &type, &len) == -1 ||
	    facts_family(fd) != family)
		return 0;
	if (type != SOCK_DGRAM)
		return type == SOCK_STREAM ? type : 0;
	return facts_protocol(fd) == IPPROTO_UDP ? type : 0;
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

/* To this machine itself, as the settings have it (AllowOutboundLocalhost). */
static int connect_home(int fd, int kind, const struct sockaddr *addr, socklen_t len)
{
	if (home_refuses(kind, addr))
		return fail(EPERM);
	datagram_close(fd);
	flow_drop(fd);
	return real(connect)(fd, addr, len);
}

static int connect_away(int fd, int kind, const struct sockaddr *addr, socklen_t len)
{
	int rc;

	if (kind == SOCK_DGRAM)
		rc = datagram_connect(fd, addr);
	else {
		flow_drop(fd);
		rc = dial_connect(fd, addr, len);
	}
	log_connect(kind, addr, rc);
	return rc;
}

int tp_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	int before = errno, rc, kind;
	struct flow flow;

	if (addr == NULL || len < sizeof addr->sa_family ||
	    (addr->sa_family != AF_INET && addr->sa_family != AF_INET6)) {
		if (addr != NULL && len >= sizeof addr->sa_family && addr->sa_family == AF_UNSPEC) {
			if (datagram_relayed(fd))
				datagram_disconnect(fd);
			else
				flow_drop(fd);
		}
		return real(connect)(fd, addr, len);
	}
	kind = len < (addr->sa_family == AF_INET ? sizeof(struct sockaddr_in) :
						   sizeof(struct sockaddr_in6))
		       ? 0
		       : kind_of(fd, addr->sa_family);
	errno = before;
	if (kind == 0)
		return real(connect)(fd, addr, len);
	if (kind == SOCK_STREAM && flow_read(fd, &flow))
		rc = connect_again(fd, &flow);
	else if (home_is(addr, len))
		return connect_home(fd, kind, addr, len);
	else
		rc = connect_away(fd, kind, addr, len);
	errno = rc == 0 ? before : -rc;
	return rc == 0 ? 0 : -1;
}

/* The socket's entry where this process has made it, or what its label says. */
static bool known_peer(int fd, const struct sockaddr *real_peer, socklen_t len, struct flow *flow)
{
	if (flow_read(fd, flow))
		return flow->state == FLOW_UP || (flow->state == FLOW_RELAYED && flow->connected);
	if (!home_is_server(real_peer, len) || !label_read(fd, flow))
		return false;
	(void)flow_put(fd, flow);
	return true;
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
	if (known_peer(fd, addr, room < *len ? room : *len, &flow)) {
		memcpy(addr, &flow.target, room < flow.target_len ? room : flow.target_len);
		*len = flow.target_len;
	}
	errno = before;
	return 0;
}

int tp_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
	socklen_t room = len == NULL ? 0 : *len;
	int before = errno;
	struct flow flow;

	if (flow_state(fd) == FLOW_PENDING)
		(void)dial_look(fd);
	if (real(getsockname)(fd, addr, len) == -1)
		return -1;
	if (flow_state(fd) == FLOW_UP && flow_read(fd, &flow) &&
	    flow.local.any.sa_family != AF_UNSPEC) {
		memcpy(addr, &flow.local, room < flow.target_len ? room : flow.target_len);
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

static void forget(int fd)
{
	int before = errno;

	if (flow_state(fd) == FLOW_NONE || !flows_ours())
		return;
	if (atomic_load(&flows_unsettled) != 0)
		waits_closed(fd);
	if (datagram_relayed(fd))
		datagram_close(fd);
	flow_drop(fd);
	errno = before;
}

/* The shim's own: a program that closes all numbers up to some limit does not mean them. */
static bool is_hidden(int fd)
{
	struct flow flow;

	return atomic_load(&flows_relayed) != 0 && flow_state(fd) == FLOW_CONTROL && flows_ours() &&
	       flow_read(fd, &flow);
}

int tp_close(int fd)
{
	if (is_hidden(fd))
		return fail(EBADF);
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

void tp_closing(FILE *stream)
{
	int before = errno, fd = flow_next(0) == -1 ? -1 : fileno(stream);

	if (fd != -1)
		forget(fd);
	errno = before;
}

#ifdef __linux__
int tp_close_range(unsigned first, unsigned last, int flags)
{
	unsigned start = first;

	if ((flags & (int)CLOSE_RANGE_CLOEXEC) != 0 || first > last || !flows_ours())
		return real(close_range)(first, last, flags);
	for (int fd = first > INT_MAX ? -1 : flow_next((int)first);
	     fd != -1 && (unsigned)fd <= last; fd = flow_next(fd + 1))
		if (!is_hidden(fd))
			forget(fd);
	for (int fd = first > INT_MAX ? -1 : flow_next((int)first);
	     fd != -1 && (unsigned)fd <= last; fd = flow_next(fd + 1)) {
		if (!is_hidden(fd))
			continue;
		if ((unsigned)fd > start && real(close_range)(start, (unsigned)fd - 1, flags) == -1)
			return -1;
		start = (unsigned)fd + 1;
	}
	return start > last || start < first ? 0 : real(close_range)(start, last, flags);
}
#endif

int tp_listen(int fd, int backlog)
{
	struct sockaddr_storage bound;
	socklen_t len = sizeof bound;

	if (shim_settings != NULL && !shim_settings->inbound &&
	    real(getsockname)(fd, (struct sockaddr *)&bound, &len) == 0 &&
	    (bound.ss_family == AF_INET || bound.ss_family == AF_INET6) &&
	    !home_is_loopback((struct sockaddr *)&bound))
		return fail(EPERM);
	return real(listen)(fd, backlog);
}

int tp_copied(int fd, int to)
{
	int before = errno;
	struct flow flow;

	if (to == -1 || to == fd)
		return to;
	/* A child of vfork(2): it cannot write down what `to` is, and its exec is near. */
	if (!flows_ours())
		label(fd);
	forget(to);
	if (flow_state(fd) != FLOW_NONE && flow_read(fd, &flow) &&
	    (flow.state == FLOW_UP || flow.state == FLOW_RELAYED))
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
	datagram_make_way(to);
	return tp_copied(fd, real(dup2)(fd, to));
}

#ifdef __linux__
int tp_dup3(int fd, int to, int flags)
{
	settle_before_copy(fd);
	datagram_make_way(to);
	return tp_copied(fd, real(dup3)(fd, to, flags));
}
#endif
