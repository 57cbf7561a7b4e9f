#include "dial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <unistd.h>

#include "home.h"
#include "talk.h"

struct waiter {
	struct list node;
	uint64_t id;
};

struct dial {
	struct watch watch; /* our descriptor of the program's socket */
	struct timer timer; /* until SO_SNDTIMEO is over */
	struct list node, waiting;
	struct supervisor *sup;
	uint64_t cookie;
	socklen_t target_len;
	union target target;
	struct talk talk;
};

static int socket_error(int fd)
{
	int error = 0;
	socklen_t len = sizeof error;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1 ? errno : error;
}

/* Make the socket as if it had not been connected, so that the program may try again. */
static void dissolve(int fd)
{
	const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

	(void)connect(fd, &nowhere, sizeof nowhere);
	(void)socket_error(fd); /* the ECONNRESET that Linux leaves behind it */
}

/* True if anybody has heard it. */
static bool tell(struct dial *dial, int error)
{
	bool heard = false;
	struct list *node;

	while ((node = list_shift(&dial->waiting)) != NULL) {
		struct waiter *waiter = list_entry(node, struct waiter, node);

		heard |= error == 0 ? notify_result(dial->sup->listener, waiter->id, 0)
				    : notify_error(dial->sup->listener, waiter->id, error);
		free(waiter);
	}
	return heard;
}

static void drop(struct dial *dial)
{
	loop_forget(&dial->sup->loop, &dial->watch);
	loop_stop_timer(&dial->timer);
	list_remove(&dial->node);
	(void)tell(dial, ENOMEM); /* nobody waits any more, but for one that found no memory */
	close(dial->watch.fd);
	free(dial);
}

static void finish(struct dial *dial, int error)
{
	struct peer *place;
	bool heard;

	if (error != 0)
		dissolve(dial->watch.fd);
	place = error == 0 ? peers_place(dial->sup->peers, dial->watch.fd) : NULL;
	if (place != NULL)
		*place = (struct peer){dial->cookie, dial->target_len, false, dial->target};
	heard = tell(dial, error);
	if (place != NULL)
		place->unannounced = !heard;
	drop(dial);
}

/* As far as it gets without waiting. */
static void go_on(struct dial *dial)
{
	uint32_t events;
	int rc = talk_go_on(&dial->talk, dial->watch.fd, &events);

	if (rc == 0)
		(void)loop_change(&dial->sup->loop, &dial->watch, events);
	else
		finish(dial, rc == 1 ? 0 : -rc);
}

static void on_ready(struct watch *watch, uint32_t events)
{
	struct dial *dial = list_entry(watch, struct dial, watch);
	int error = 0;

	if ((events & EPOLLOUT) != 0 && dial->talk.sent == 0) /* the server had no room at first */
		error = talk_reach(dial->sup->settings, watch->fd, dial->target.any.sa_family);
	if (error == 0)
		go_on(dial);
	else if (error != EINPROGRESS)
		finish(dial, error);
}

/* A blocking connect(2) says so when SO_SNDTIMEO is over, and goes on (socket(7)). */
static void on_timeout(struct timer *timer)
{
	(void)tell(list_entry(timer, struct dial, timer), EINPROGRESS);
}

static int64_t timeout_ms(int fd)
{
	struct timeval limit = {0, 0};
	socklen_t len = sizeof limit;

	(void)getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, &len);
	return (int64_t)limit.tv_sec * 1000 + (limit.tv_usec + 999) / 1000;
}

static bool await(struct dial *dial, uint64_t id)
{
	struct waiter *waiter = malloc(sizeof *waiter);

	if (waiter == NULL)
		return false;
	waiter->id = id;
	list_append(&dial->waiting, &waiter->node);
	return true;
}

static struct dial *dial_new(struct supervisor *sup, uint64_t cookie, int fd,
			     const union target *target)
{
	struct dial *dial = calloc(1, sizeof *dial);
	struct socks5_addr addr;

	if (dial == NULL)
		return NULL;
	dial->sup = sup;
	dial->cookie = cookie;
	dial->watch = (struct watch){fd, on_ready};
	dial->timer.expired = on_timeout;
	dial->target = *target;
	dial->target_len = target_len(target);
	list_init(&dial->timer.node);
	list_init(&dial->waiting);
	(void)home_request(&target->any, &addr);
	if (talk_begin(&dial->talk, sup->settings, SOCKS5_CONNECT, &addr) != 0) {
		free(dial);
		return NULL;
	}
	list_append(&sup->dials, &dial->node);
	return dial;
}

static struct dial *find(struct supervisor *sup, uint64_t cookie)
{
	for (struct list *node = sup->dials.next; node != &sup->dials; node = node->next) {
		struct dial *dial = list_entry(node, struct dial, node);

		if (dial->cookie == cookie)
			return dial;
	}
	return NULL;
}

/* The way to the server: 0 or EINPROGRESS, else the errno that the program gets, or -1: it is done. */
static int set_out(struct supervisor *sup, int fd, int family)
{
	int error = talk_reach(sup->settings, fd, family);
	struct peer *peer;

	if (error == EISCONN && (peer = peers_find(sup->peers, fd)) != NULL && peer->unannounced) {
		peer->unannounced = false; /* the call that brought it there was interrupted */
		return -1;
	}
	if (error != 0 && error != EINPROGRESS && error != EISCONN && error != EALREADY)
		dissolve(fd);
	return error;
}

static void begin(struct supervisor *sup, const struct call *call, struct dial *dial, int flags)
{
	const int fd = dial->watch.fd;
	int error = set_out(sup, fd, dial->target.any.sa_family);
	int64_t limit_ms;

	if (error == 0 || error == EINPROGRESS) {
		uint32_t events = error == 0 ? EPOLLIN : EPOLLOUT;

		if (await(dial, call->id) &&
		    loop_watch(&sup->loop, &dial->watch, events | EPOLLRDHUP) == 0) {
			limit_ms = (flags & O_NONBLOCK) != 0 ? 0 : timeout_ms(fd);
			if (limit_ms > 0)
				loop_timer(&sup->loop, &dial->timer, limit_ms);
			if (error == 0)
				go_on(dial);
			return;
		}
		dissolve(fd);
		error = ENOMEM;
	}
	if (error == -1)
		(void)notify_result(sup->listener, call->id, 0);
	else
		(void)notify_error(sup->listener, call->id, error);
	drop(dial);
}

void dial_call(struct supervisor *sup, const struct call *call, int fd, const union target *target)
{
	uint64_t cookie = peers_cookie(fd);
	struct dial *dial = find(sup, cookie);

	if (dial != NULL) { /* a signal came between, and the program or the kernel asks again */
		close(fd);
		if (!await(dial, call->id))
			(void)notify_error(sup->listener, call->id, ENOMEM);
		return;
	}
	dial = dial_new(sup, cookie, fd, target);
	if (dial != NULL) {
		begin(sup, call, dial, fcntl(fd, F_GETFL));
		return;
	}
	(void)notify_error(sup->listener, call->id, ENOMEM);
	close(fd);
}

void dial_drop_all(struct supervisor *sup)
{
	while (!list_empty(&sup->dials))
		drop(list_entry(sup->dials.next, struct dial, node));
}
