#include "calls.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "caller.h"
#include "dial.h"
#include "home.h"
#include "peers.h"
#include "report.h"

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

/* A program that keeps its user out (PR_SET_DUMPABLE, an executable that may not be read) cannot be
 * helped, and where it wants to go is not known.  Nothing of it goes to the laptop's network. */
static void shut_out(struct supervisor *sup, const struct call *call)
{
	if (!sup->closed_told)
		report(sup->log, "process %d may not be looked into: its connections fail with EACCES",
		       (int)call->thread);
	sup->closed_told = true;
	(void)notify_error(sup->listener, call->id, EACCES);
}

/* Where a call without our help goes wrong, the kernel has the right words for it. */
static void leave(struct supervisor *sup, const struct call *call)
{
	(void)notify_continue(sup->listener, call->id);
}

/* 0 with `out`; 1: an address that is left alone; -errno. */
static int read_target(const struct call *call, uint64_t address, uint64_t len, union target *out)
{
	int rc;

	memset(out, 0, sizeof *out);
	if (address == 0 || len < sizeof out->any.sa_family || len > sizeof(struct sockaddr_storage))
		return 1;
	if (len > sizeof *out)
		len = sizeof *out;
	rc = caller_read(call->thread, address, out, (size_t)len);
	if (rc != 0)
		return rc == -EFAULT ? 1 : rc;
	if (out->any.sa_family != AF_INET && out->any.sa_family != AF_INET6)
		return 1;
	return home_is(&out->any, (socklen_t)len) ? 1 : 0;
}

static int option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof value;

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) == -1 ? -1 : value;
}

static bool is_tcp(int fd)
{
	int protocol = option(fd, SO_PROTOCOL);

	return option(fd, SO_TYPE) == SOCK_STREAM &&
	       (protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP);
}

static void on_connect(struct supervisor *sup, const struct call *call)
{
	union target target;
	int fd, rc = read_target(call, call->args[1], (uint32_t)call->args[2], &target);

	if (rc == 1) {
		leave(sup, call);
		return;
	}
	fd = rc == 0 ? caller_take_fd(call->thread, (int)call->args[0]) : rc;
	if (fd == -EPERM || fd == -EACCES) {
		shut_out(sup, call);
		return;
	}
	if (fd >= 0 && notify_alive(sup->listener, call->id) && is_tcp(fd) &&
	    option(fd, SO_DOMAIN) == target.any.sa_family) {
		dial_call(sup, call, fd, &target);
		return;
	}
	if (fd >= 0)
		close(fd);
	leave(sup, call);
}

static bool write_name(const struct call *call, const struct peer *peer)
{
	uint32_t room;
	socklen_t len = peer->len;

	if (caller_read(call->thread, call->args[2], &room, sizeof room) != 0)
		return false;
	return caller_write(call->thread, call->args[1], &peer->target,
			    len < room ? len : room) == 0 &&
	       caller_write(call->thread, call->args[2], &len, sizeof len) == 0;
}

static void on_getpeername(struct supervisor *sup, const struct call *call)
{
	int fd = caller_take_fd(call->thread, (int)call->args[0]);
	struct peer *peer = fd < 0 ? NULL : peers_find(sup->peers, fd);
	union target far;
	socklen_t len = sizeof far;
	/* Else the kernel says that it is connected no more. */
	bool ours = peer != NULL && getpeername(fd, &far.any, &len) == 0 &&
		    notify_alive(sup->listener, call->id) && write_name(call, peer);

	if (fd >= 0)
		close(fd);
	if (ours)
		(void)notify_result(sup->listener, call->id, 0);
	else
		leave(sup, call);
}

/* sendto(2) on a TCP socket means its address only with MSG_FASTOPEN, which programs can do without. */
static void on_sendto(struct supervisor *sup, const struct call *call)
{
	union target target;

	if ((call->args[3] & MSG_FASTOPEN) != 0 &&
	    read_target(call, call->args[4], (uint32_t)call->args[5], &target) != 1)
		(void)notify_error(sup->listener, call->id, EOPNOTSUPP);
	else
		leave(sup, call);
}

static void on_sendmsg(struct supervisor *sup, const struct call *call)
{
	struct msghdr message;
	union target target;

	if ((call->args[2] & MSG_FASTOPEN) != 0 &&
	    caller_read(call->thread, call->args[1], &message, sizeof message) == 0 &&
	    read_target(call, (uintptr_t)message.msg_name, message.msg_namelen, &target) != 1)
		(void)notify_error(sup->listener, call->id, EOPNOTSUPP);
	else
		leave(sup, call);
}

void calls_take(struct supervisor *sup, const struct call *call)
{
	switch (call->number) {
	case SYS_connect:
		on_connect(sup, call);
		break;
	case SYS_getpeername:
		on_getpeername(sup, call);
		break;
	case SYS_sendto:
		on_sendto(sup, call);
		break;
	case SYS_sendmsg:
		on_sendmsg(sup, call);
		break;
	default:
		leave(sup, call);
	}
}
