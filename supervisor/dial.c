#include "dial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "detour.h"
#include "home.h"
#include "talk.h"

/* Of a thread that asked not to be kept waiting. */
enum { PATIENCE_MS = 1000, PATIENCE_ALONE_MS = 20 };

struct waiter {
	struct list node;
	uint64_t id;
};

struct dial {
	struct watch watch; /* our descriptor of the program's socket */
	struct timer timer; /* until limit_ms are over: SO_SNDTIMEO of a connect that waits */
	struct list node, waiting;
	struct supervisor *sup;
	bool waits;
	int64_t began_ms, limit_ms;
	uint64_t cookie;
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

		heard |= notify_answer(dial->sup->listener, waiter->id, -error);
		free(waiter);
	}
	return heard;
}

static void drop(struct dial *dial)
{
	if (dial->watch.fd != -1)
		loop_forget(&dial->sup->loop, &dial->watch);
	loop_stop_timer(&dial->timer);
	list_remove(&dial->node);
	(void)tell(dial, ENOMEM); /* nobody waits any more, but for one that found no memory */
	if (dial->watch.fd != -1)
		close(dial->watch.fd);
	free(dial);
}

static void finish(struct dial *dial, int error)
{
	struct peer *place;
	bool heard;

	dial->sup->answer_ms = loop_now_ms() - dial->began_ms;
	if (error != 0)
		dissolve(dial->watch.fd);
	place = error == 0 ? peers_place(dial->sup->peers, dial->watch.fd) : NULL;
	if (place != NULL)
		*place = peers_make(dial->cookie, &dial->target, &dial->talk.answer.addr);
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

/* The program must not be kept any longer: it goes on, and so does its connect. */
static void turn_aside(struct dial *dial)
{
	struct supervisor *sup = dial->sup;
	const int fd = dial->watch.fd;
	int error;

	loop_forget(&sup->loop, &dial->watch);
	dissolve(fd);
	error = detour_begin(sup, fd, dial->cookie, &dial->target);
	if (error == 0)
		dial->watch.fd = -1; /* the detour's */
	if (tell(dial, error == 0 ? EINPROGRESS : error))
		(void)detour_ask(sup, dial->cookie); /* else who asks again hears it */
	drop(dial);
}

static void on_timeout(struct timer *timer)
{
	struct dial *dial = list_entry(timer, struct dial, timer);

	if (dial->waits) /* says so when SO_SNDTIMEO is over, and goes on (socket(7)) */
		(void)tell(dial, EINPROGRESS);
	else
		turn_aside(dial);
}

/* How long a connect that should not wait may keep its thread: a program with others goes on meanwhile,
 * and a straight connection is worth it. */
static int64_t patience_ms(pid_t thread)
{
	char path[32];
	struct stat tasks;

	(void)snprintf(path, sizeof path, "/proc/%d/task", (int)thread);
	/* A folder has a link from each of its folders, from itself and from its parent. */
	return stat(path, &tasks) == 0 && tasks.st_nlink > 3 ? PATIENCE_MS : PATIENCE_ALONE_MS;
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
	dial->began_ms = loop_now_ms();
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

/* A socket that has been here before: 0 for a new connect, an errno, or -1: it is connected now. */
static int known(struct supervisor *sup, int fd, uint64_t cookie)
{
	struct peer *peer = peers_find(sup->peers, fd);
	union target far;
	socklen_t len = sizeof far;
	int error = detour_ask(sup, cookie);

	if (error != 0)
		return error;
	if (peer == NULL || getpeername(fd, &far.any, &len) == -1)
		return detour_take_error(sup, cookie);
	if (!peer->unannounced)
		return EISCONN;
	peer->unannounced = false; /* the call that brought it there has not said so */
	return -1;
}

/* Straight to the server: 0 when the dial goes on, or an errno. */
static int set_out(struct dial *dial, uint64_t id)
{
	struct supervisor *sup = dial->sup;
	const int fd = dial->watch.fd;
	int error = talk_reach(sup->settings, fd, dial->target.any.sa_family);
	uint32_t events = (error == 0 ? (uint32_t)EPOLLIN : (uint32_t)EPOLLOUT) | EPOLLRDHUP;

	if (error == EISCONN || error == EALREADY)
		return error;
	if (error == 0 || error == EINPROGRESS)
		error = await(dial, id) && loop_watch(&sup->loop, &dial->watch, events) == 0
				? error
				: ENOMEM;
	if (error != 0 && error != EINPROGRESS) {
		dissolve(fd);
		return error;
	}
	if (dial->limit_ms > 0)
		loop_timer(&sup->loop, &dial->timer, dial->limit_ms);
	if (error == 0)
		go_on(dial);
	return 0;
}

/* True if it was heard. */
static bool answer(struct supervisor *sup, const struct call *call, int error)
{
	return notify_answer(sup->listener, call->id, error == -1 ? 0 : -error);
}

static void begin(struct supervisor *sup, const struct call *call, struct dial *dial)
{
	const int fd = dial->watch.fd;
	int error;

	dial->waits = (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0;
	dial->limit_ms = dial->waits ? timeout_ms(fd) : patience_ms(call->thread);
	if (dial->waits || sup->answer_ms <= dial->limit_ms) {
		error = set_out(dial, call->id);
		if (error == 0)
			return;
	} else { /* the last ones took too long as well */
		error = detour_begin(sup, fd, dial->cookie, &dial->target);
		if (error == 0)
			dial->watch.fd = -1;
		error = error == 0 ? EINPROGRESS : error;
	}
	if (answer(sup, call, error) && error == EINPROGRESS)
		(void)detour_ask(sup, dial->cookie);
	drop(dial);
}

void dial_call(struct supervisor *sup, const struct call *call, int fd, const union target *target)
{
	uint64_t cookie = peers_cookie(fd);
	struct dial *dial = find(sup, cookie);
	int error;

	if (dial != NULL) { /* a signal came between, and the program or the kernel asks again */
		close(fd);
		if (!await(dial, call->id))
			(void)answer(sup, call, ENOMEM);
		return;
	}
	error = known(sup, fd, cookie);
	dial = error == 0 ? dial_new(sup, cookie, fd, target) : NULL;
	if (dial != NULL) {
		begin(sup, call, dial);
		return;
	}
	(void)answer(sup, call, error == 0 ? ENOMEM : error);
	close(fd);
}

void dial_drop_all(struct supervisor *sup)
{
	while (!list_empty(&sup->dials))
		drop(list_entry(sup->dials.next, struct dial, node));
}
