#include "receiving.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "asked.h"
#include "association.h"
#include "caller.h"
#include "flow.h"
#include "message.h"

/* The kernel does not say when a signal has ended a call: until we ask, a closed socket keeps its port. */
enum { ASK_AGAIN_MS = 1000 };

struct receive {
	struct list node;
	struct watch watch; /* our descriptor of the program's socket */
	struct timer timer;
	struct supervisor *sup;
	struct call call;
	int flags;
	int64_t deadline_ms; /* SO_RCVTIMEO; 0: none */
};

static void drop(struct receive *receive)
{
	loop_forget(&receive->sup->loop, &receive->watch);
	loop_stop_timer(&receive->timer);
	list_remove(&receive->node);
	close(receive->watch.fd);
	free(receive);
}

/* The message that the call describes; recvmmsg(2) gets one. */
static int read_message(const struct call *call, struct message *out)
{
	return call->number == SYS_recvfrom ? message_of_call(call, out)
					    : message_read(call->thread, call->args[1], out);
}

/* In place of a relay, its target. */
static void unmask(struct supervisor *sup, int fd, struct msghdr *got)
{
	const struct flow *flow = flow_find(sup, fd);
	const union target *target;

	target = flow == NULL || got->msg_namelen == 0 ? NULL : flow_target(flow, got->msg_name);
	if (target == NULL)
		return;
	got->msg_namelen = target_len(target);
	memcpy(got->msg_name, target, got->msg_namelen);
}

/* What has come, into the program's memory: what its call returns, or -errno. */
static ssize_t hand_over(const struct call *call, const struct message *message,
			 const struct msghdr *got, ssize_t len)
{
	size_t room = got->msg_iov->iov_len;
	int rc = message_scatter(message, got->msg_iov->iov_base,
				 (size_t)len < room ? (size_t)len : room);

	if (rc == 0)
		rc = message_set_name(message, got->msg_name, got->msg_namelen);
	if (rc == 0)
		rc = message_set_rest(message, got->msg_control, got->msg_controllen,
				      got->msg_flags);
	if (rc == 0 && call->number == SYS_recvmmsg)
		rc = message_set_len(message, (unsigned)len);
	if (rc != 0)
		return rc;
	return call->number == SYS_recvmmsg ? 1 : len;
}

/* Without waiting: what the call returns, or -errno. */
static ssize_t receive_now(struct supervisor *sup, const struct call *call, int fd, int flags)
{
	uint8_t payload[DATAGRAM_MAX], control[MESSAGE_CONTROL_MAX];
	struct sockaddr_storage from;
	struct message message;
	struct iovec part = {payload, sizeof payload};
	struct msghdr got = {&from, sizeof from, &part, 1, control, 0, 0};
	ssize_t n, rc = read_message(call, &message);

	if (rc != 0)
		return rc;
	if (message_size(&message) < part.iov_len)
		part.iov_len = message_size(&message);
	got.msg_controllen =
		message.control_len < sizeof control ? message.control_len : sizeof control;
	if (!notify_alive(sup->listener, call->id))
		return -EINTR; /* nobody hears it */
	n = recvmsg(fd, &got, flags | MSG_DONTWAIT);
	if (n == -1)
		return -errno;
	unmask(sup, fd, &got);
	return hand_over(call, &message, &got, n);
}

static void on_readable(struct watch *watch, uint32_t events)
{
	struct receive *receive = list_entry(watch, struct receive, watch);
	ssize_t result = receive_now(receive->sup, &receive->call, watch->fd, receive->flags);

	(void)events;
	if (result == -EAGAIN)
		return; /* another thread was quicker */
	(void)notify_answer(receive->sup->listener, receive->call.id, result);
	drop(receive);
}

static int64_t until_next_ms(const struct receive *receive)
{
	int64_t left = receive->deadline_ms == 0 ? ASK_AGAIN_MS
						 : receive->deadline_ms - loop_now_ms();

	return left < ASK_AGAIN_MS ? left : ASK_AGAIN_MS;
}

static void on_timer(struct timer *timer)
{
	struct receive *receive = list_entry(timer, struct receive, timer);
	struct supervisor *sup = receive->sup;

	if (until_next_ms(receive) <= 0)
		(void)notify_answer(sup->listener, receive->call.id, -EAGAIN);
	else if (notify_alive(sup->listener, receive->call.id)) {
		loop_timer(&sup->loop, timer, until_next_ms(receive));
		return;
	}
	drop(receive);
}

/* Takes the descriptor: 0 or -ENOMEM, when it is still the caller's. */
static int wait_for_it(struct supervisor *sup, const struct call *call, int fd, int flags)
{
	struct receive *receive = calloc(1, sizeof *receive);
	struct timeval limit = {0, 0};
	socklen_t len = sizeof limit;

	if (receive == NULL)
		return -ENOMEM;
	*receive = (struct receive){.watch = {fd, on_readable}, .timer.expired = on_timer,
				    .sup = sup, .call = *call, .flags = flags};
	if (loop_watch(&sup->loop, &receive->watch, EPOLLIN) != 0) {
		free(receive);
		return -ENOMEM;
	}
	(void)getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, &len);
	if (limit.tv_sec != 0 || limit.tv_usec != 0)
		receive->deadline_ms = loop_now_ms() + (int64_t)limit.tv_sec * 1000 +
				       (limit.tv_usec + 999) / 1000;
	list_append(&sup->receives, &receive->node);
	loop_timer(&sup->loop, &receive->timer, until_next_ms(receive));
	return 0;
}

/* Only who asks from where a datagram came needs us. */
static bool wants_name(const struct call *call)
{
	struct message message;

	return read_message(call, &message) == 0 && message.name != 0;
}

void receiving_take(struct supervisor *sup, const struct call *call)
{
	int flags = (int)call->args[call->number == SYS_recvmsg ? 2 : 3];
	int fd = sup->n_flows == 0 ? -1 : caller_take_fd(call->thread, (int)call->args[0]);
	bool ours = fd >= 0 && flow_find(sup, fd) != NULL && (flags & MSG_ERRQUEUE) == 0 &&
		    wants_name(call);
	bool waits = fd >= 0 && (flags & MSG_DONTWAIT) == 0 &&
		     (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0;
	ssize_t result;

	if (!ours) {
		if (fd >= 0)
			close(fd);
		asked_leave(sup, call);
		return;
	}
	result = receive_now(sup, call, fd, flags);
	if (result == -EAGAIN && waits) {
		result = wait_for_it(sup, call, fd, flags);
		if (result == 0)
			return;
	}
	(void)notify_answer(sup->listener, call->id, result);
	close(fd);
}

void receiving_drop_all(struct supervisor *sup)
{
	while (!list_empty(&sup->receives))
		drop(list_entry(sup->receives.next, struct receive, node));
}
