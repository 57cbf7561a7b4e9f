#include "sending.h"

#include <errno.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "asked.h"
#include "association.h"
#include "caller.h"
#include "flow.h"
#include "message.h"

enum { MESSAGES_A_CALL = 64 }; /* sendmmsg(2) may send fewer than it was given */

static bool wants_segments(const struct message *message)
{
	uint8_t space[MESSAGE_CONTROL_MAX];
	struct msghdr copy = {.msg_control = space, .msg_controllen = message->control_len};

	if (message->control_len == 0 || message->control_len > sizeof space ||
	    message_get_control(message, space) != 0)
		return false;
	for (struct cmsghdr *part = CMSG_FIRSTHDR(&copy); part != NULL; part = CMSG_NXTHDR(&copy, part))
		if (part->cmsg_level == SOL_UDP && part->cmsg_type == UDP_SEGMENT)
			return true;
	return false;
}

/* One datagram to the pod: how long it was, or -errno. */
static ssize_t send_out(struct supervisor *sup, const struct call *call, int fd,
			const union target *target, const struct message *message)
{
	uint8_t payload[DATAGRAM_MAX];
	ssize_t len;
	int error;

	if (wants_segments(message))
		return -EIO; /* as devices that cannot cut do; programs send them one by one then */
	len = message_gather(message, payload, sizeof payload);
	if (len < 0 || !notify_alive(sup->listener, call->id))
		return len < 0 ? len : -EINTR;
	error = flow_send(sup, fd, target, payload, (size_t)len);
	return error == 0 ? len : -error;
}

/* One that stays here, between others that do not. */
static ssize_t send_home(const struct call *call, int fd, const struct message *message)
{
	uint8_t payload[DATAGRAM_MAX];
	struct sockaddr_storage name;
	ssize_t len = message_gather(message, payload, sizeof payload);

	if (len < 0 || message->name_len > sizeof name)
		return len < 0 ? len : -EINVAL;
	if (message->name != 0 &&
	    caller_read(call->thread, message->name, &name, message->name_len) != 0)
		return -EFAULT;
	len = sendto(fd, payload, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL,
		     message->name == 0 ? NULL : (struct sockaddr *)&name,
		     message->name == 0 ? 0 : message->name_len);
	return len == -1 ? -errno : len;
}

static int target_of(const struct call *call, const struct message *message, union target *out)
{
	return asked_target(call, message->name, message->name_len, out);
}

static void send_single(struct supervisor *sup, const struct call *call,
			const struct message *message, uint64_t flags)
{
	union target target;
	int fd, rc = target_of(call, message, &target);

	if (rc != 1 && (flags & MSG_FASTOPEN) != 0) { /* TCP, and programs can do without */
		(void)notify_answer(sup->listener, call->id, -EOPNOTSUPP);
		return;
	}
	switch (asked_socket(sup, call, rc, &target, &fd)) {
	case ASKED_UDP:
		(void)notify_answer(sup->listener, call->id, send_out(sup, call, fd, &target, message));
		close(fd);
		break;
	case ASKED_TCP: /* whose address means nothing */
		close(fd);
		asked_leave(sup, call);
		break;
	case ASKED_OTHER:
		break;
	}
}

/* How many were sent, or -errno for the first. */
static ssize_t send_several(struct supervisor *sup, const struct call *call, int fd, size_t n)
{
	struct message message;
	union target target;
	size_t done = 0;
	ssize_t rc = 0;

	for (; done < n; done++) {
		rc = message_read(call->thread, call->args[1] + done * sizeof(struct mmsghdr),
				  &message);
		if (rc == 0 && target_of(call, &message, &target) == 0)
			rc = send_out(sup, call, fd, &target, &message);
		else if (rc == 0)
			rc = send_home(call, fd, &message);
		if (rc >= 0)
			rc = message_set_len(&message, (unsigned)rc);
		if (rc < 0)
			break;
	}
	return done > 0 ? (ssize_t)done : rc;
}

/* As asked_target(), for the first of several that goes to the pod. */
static int any_target(const struct call *call, size_t n, union target *out)
{
	struct message message;
	int rc = 1;

	for (size_t i = 0; i < n && rc == 1; i++) {
		rc = message_read(call->thread, call->args[1] + i * sizeof(struct mmsghdr), &message);
		if (rc == 0)
			rc = target_of(call, &message, out);
		else if (rc != -EPERM && rc != -EACCES)
			return 1;
	}
	return rc;
}

static void on_sendmmsg(struct supervisor *sup, const struct call *call)
{
	uint32_t given = (uint32_t)call->args[2];
	size_t n = given < MESSAGES_A_CALL ? given : MESSAGES_A_CALL;
	union target target = {0};
	int fd, rc = any_target(call, n, &target);

	switch (asked_socket(sup, call, rc, &target, &fd)) {
	case ASKED_UDP:
		(void)notify_answer(sup->listener, call->id, send_several(sup, call, fd, n));
		close(fd);
		break;
	case ASKED_TCP:
		close(fd);
		asked_leave(sup, call);
		break;
	case ASKED_OTHER:
		break;
	}
}

void sending_take(struct supervisor *sup, const struct call *call)
{
	struct message message;
	int rc;

	if (call->number == SYS_sendmmsg) {
		on_sendmmsg(sup, call);
		return;
	}
	rc = call->number == SYS_sendto ? message_of_call(call, &message)
					: message_read(call->thread, call->args[1], &message);
	if (rc == 0)
		send_single(sup, call, &message,
			    call->args[call->number == SYS_sendto ? 3 : 2]);
	else
		asked_refuse(sup, call, rc);
}
