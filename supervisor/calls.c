#include "calls.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "asked.h"
#include "caller.h"
#include "detour.h"
#include "dial.h"
#include "flow.h"
#include "privileges.h"
#include "receiving.h"
#include "sending.h"

static void on_connect(struct supervisor *sup, const struct call *call)
{
	union target target;
	int fd, rc = asked_target(call, call->args[1], (uint32_t)call->args[2], &target);

	switch (asked_socket(sup, call, rc, &target, &fd)) {
	case ASKED_TCP:
		dial_call(sup, call, fd, &target);
		break;
	case ASKED_UDP:
		(void)notify_answer(sup->listener, call->id, -flow_connect(sup, fd, &target));
		close(fd);
		break;
	case ASKED_OTHER:
		break;
	}
}

/* With whom the program has connected its socket, if that was through us. */
static bool find_peer(struct supervisor *sup, int fd, union target *out)
{
	union target far;
	socklen_t len = sizeof far;
	const struct peer *peer = peers_find(sup->peers, fd);
	const struct flow *flow = peer == NULL ? flow_find(sup, fd) : NULL;
	const union target *found = peer == NULL ? NULL : &peer->target;

	if ((peer == NULL && flow == NULL) || getpeername(fd, &far.any, &len) == -1)
		return false;
	if (flow != NULL)
		found = flow_target(flow, &far);
	if (found != NULL)
		*out = *found;
	return found != NULL;
}

/* From where it is connected there. */
static bool find_own(struct supervisor *sup, int fd, union target *out)
{
	union target far;
	socklen_t len = sizeof far;
	const struct peer *peer = peers_find(sup->peers, fd);

	if (peer == NULL || peer->local.any.sa_family == AF_UNSPEC ||
	    getpeername(fd, &far.any, &len) == -1)
		return false;
	*out = peer->local;
	return true;
}

static bool write_name(const struct call *call, const union target *name)
{
	socklen_t len = target_len(name);
	uint32_t room;

	if (caller_read(call->thread, call->args[2], &room, sizeof room) != 0)
		return false;
	return caller_write(call->thread, call->args[1], name, len < room ? len : room) == 0 &&
	       caller_write(call->thread, call->args[2], &len, sizeof len) == 0;
}

/* getpeername(2) or getsockname(2), by what finds the name. */
static void on_name(struct supervisor *sup, const struct call *call,
		    bool (*find)(struct supervisor *sup, int fd, union target *out))
{
	int fd = caller_take_fd(call->thread, (int)call->args[0]);
	union target name;
	bool ours = fd >= 0 && find(sup, fd, &name) && notify_alive(sup->listener, call->id) &&
		    write_name(call, &name);

	if (fd >= 0)
		close(fd);
	if (ours)
		(void)notify_answer(sup->listener, call->id, 0);
	else
		asked_leave(sup, call);
}

/* getsockopt(SO_ERROR) of a connect that took a detour: the true reason in place of the kernel's. */
static void on_socket_error(struct supervisor *sup, const struct call *call)
{
	int fd = sup->door == -1 ? -1 : caller_take_fd(call->thread, (int)call->args[0]), kernels = 0;
	int error = fd < 0 ? 0 : detour_take_error(sup, peers_cookie(fd));
	socklen_t len = sizeof error;

	if (error != 0)
		(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &kernels, &len);
	if (fd >= 0)
		close(fd);
	if (error != 0 && caller_write(call->thread, call->args[3], &error, sizeof error) == 0 &&
	    caller_write(call->thread, call->args[4], &len, sizeof len) == 0)
		(void)notify_answer(sup->listener, call->id, 0);
	else
		asked_leave(sup, call);
}

void calls_take(struct supervisor *sup, const struct call *call)
{
	switch (call->number) {
	case SYS_connect:
		on_connect(sup, call);
		break;
	case SYS_getpeername:
		on_name(sup, call, find_peer);
		break;
	case SYS_getsockname:
		on_name(sup, call, find_own);
		break;
	case SYS_getsockopt:
		on_socket_error(sup, call);
		break;
	case SYS_sendto:
	case SYS_sendmsg:
	case SYS_sendmmsg:
		sending_take(sup, call);
		break;
	case SYS_recvfrom:
	case SYS_recvmsg:
	case SYS_recvmmsg:
		receiving_take(sup, call);
		break;
	case SYS_execve:
	case SYS_execveat:
		privileges_take(sup, call);
		break;
	default:
		asked_leave(sup, call);
	}
}
