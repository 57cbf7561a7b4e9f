#include "asked.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "caller.h"
#include "home.h"
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
	(void)notify_answer(sup->listener, call->id, -EACCES);
}

void asked_leave(struct supervisor *sup, const struct call *call)
{
	(void)notify_continue(sup->listener, call->id);
}

void asked_refuse(struct supervisor *sup, const struct call *call, int rc)
{
	if (rc == -EPERM || rc == -EACCES)
		shut_out(sup, call);
	else
		asked_leave(sup, call);
}

int asked_target(const struct call *call, uint64_t address, uint64_t len, union target *out)
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

int asked_option(int fd, int name)
{
	int value = -1;
	socklen_t len = sizeof value;

	return getsockopt(fd, SOL_SOCKET, name, &value, &len) == -1 ? -1 : value;
}

static enum asked_kind kind_of(int fd, int family)
{
	int own = asked_option(fd, SO_DOMAIN), type = asked_option(fd, SO_TYPE);
	int protocol = asked_option(fd, SO_PROTOCOL);

	if (type == SOCK_STREAM && (protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP))
		return own == family ? ASKED_TCP : ASKED_OTHER;
	/* UDP over IPv6 takes IPv4 addresses, too. */
	if (type == SOCK_DGRAM && (protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE))
		return own == family || own == AF_INET6 ? ASKED_UDP : ASKED_OTHER;
	return ASKED_OTHER;
}

enum asked_kind asked_socket(struct supervisor *sup, const struct call *call, int rc,
			     const union target *target, int *fd)
{
	enum asked_kind kind = ASKED_OTHER;
	int taken = rc == 0 ? caller_take_fd(call->thread, (int)call->args[0]) : rc;

	if (rc == 0 && taken >= 0 && notify_alive(sup->listener, call->id))
		kind = kind_of(taken, target->any.sa_family);
	*fd = taken;
	if (kind != ASKED_OTHER)
		return kind;
	if (rc == 0 && taken >= 0)
		close(taken);
	asked_refuse(sup, call, taken);
	return ASKED_OTHER;
}
