#include "association.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DATAGRAMS_A_TURN = 32 };

static void forget(struct association *association, struct watch *watch)
{
	if (watch->fd == -1)
		return;
	loop_forget(&association->sup->loop, watch);
	close(watch->fd);
	watch->fd = -1;
}

void association_close(struct association *association)
{
	forget(association, &association->control);
	forget(association, &association->out);
	association->made = false;
	while (association->n_early > 0)
		free(association->early[--association->n_early].message);
}

static void on_datagrams(struct watch *watch, uint32_t events)
{
	struct association *association = list_entry(watch, struct association, out);
	uint8_t message[SOCKS5_DATAGRAM_HEAD_MAX + DATAGRAM_MAX];

	(void)events;
	for (int i = 0; i < DATAGRAMS_A_TURN && watch->fd != -1; i++) {
		ssize_t n = recv(watch->fd, message, sizeof message, MSG_DONTWAIT);
		struct socks5_addr from;
		ssize_t head;

		if (n == -1)
			return;
		head = socks5_take_datagram(message, (size_t)n, &from);
		if (head > 0)
			association->received(association, &from, message + head,
					      (size_t)(n - head));
	}
}

/* Where the server takes our datagrams: the port that it names, on the host that we have reached. */
static int open_out(struct association *association)
{
	struct sockaddr_storage server;
	struct sockaddr *to = (struct sockaddr *)&server;
	socklen_t len = sizeof server;
	uint16_t port = htons(association->talk.answer.addr.port);
	int fd;

	if (getpeername(association->control.fd, to, &len) == -1)
		return -errno;
	if (to->sa_family == AF_INET)
		((struct sockaddr_in *)&server)->sin_port = port;
	else
		((struct sockaddr_in6 *)&server)->sin6_port = port;
	fd = socket(to->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -errno;
	association->out.fd = fd;
	if (connect(fd, to, len) == -1)
		return -errno;
	return loop_watch(&association->sup->loop, &association->out, EPOLLIN);
}

static void pass(struct association *association, const uint8_t *message, size_t len)
{
	/* What does not fit is lost, as UDP allows. */
	(void)send(association->out.fd, message, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void on_made(struct association *association)
{
	if (open_out(association) != 0) {
		association_close(association);
		return;
	}
	association->made = true;
	for (size_t i = 0; i < association->n_early; i++) {
		pass(association, association->early[i].message, association->early[i].len);
		free(association->early[i].message);
	}
	association->n_early = 0;
	(void)loop_change(&association->sup->loop, &association->control, EPOLLRDHUP);
}

static void on_control(struct watch *watch, uint32_t ready)
{
	struct association *association = list_entry(watch, struct association, control);
	const struct settings *settings = association->sup->settings;
	uint32_t events = EPOLLOUT | EPOLLRDHUP;
	int rc = 0;

	if (association->made) { /* its end is the association's */
		association_close(association);
		return;
	}
	if ((ready & EPOLLOUT) != 0 && association->talk.sent == 0)
		rc = -talk_reach(settings, watch->fd, settings->server.any.sa_family);
	if (rc == 0 || rc == -EISCONN)
		rc = talk_go_on(&association->talk, watch->fd, &events);
	if (rc == 1)
		on_made(association);
	else if (rc == 0 || rc == -EINPROGRESS)
		(void)loop_change(&association->sup->loop, watch, events);
	else
		association_close(association);
}

static bool open_control(struct association *association)
{
	const struct socks5_addr any = {.atyp = SOCKS5_IPV4, .host_len = 4};
	uint32_t events;
	int fd = talk_open(&association->talk, association->sup->settings, SOCKS5_UDP_ASSOCIATE, &any,
			   &events);

	if (fd < 0)
		return false;
	association->control.fd = fd;
	if (loop_watch(&association->sup->loop, &association->control, events) == 0)
		return true;
	association_close(association);
	return false;
}

void association_init(struct association *association, struct supervisor *sup,
		      void (*received)(struct association *, const struct socks5_addr *,
				       const uint8_t *, size_t))
{
	memset(association, 0, sizeof *association);
	association->sup = sup;
	association->control = (struct watch){-1, on_control};
	association->out = (struct watch){-1, on_datagrams};
	association->received = received;
}

void association_send(struct association *association, const struct socks5_addr *to,
		      const uint8_t *payload, size_t len)
{
	uint8_t message[SOCKS5_DATAGRAM_HEAD_MAX + DATAGRAM_MAX];
	ssize_t head = socks5_make_datagram(message, sizeof message, to);
	struct early *early = &association->early[association->n_early];

	if (head < 0 || len > sizeof message - (size_t)head)
		return;
	memcpy(message + head, payload, len);
	len += (size_t)head;
	if (association->made) {
		pass(association, message, len);
		return;
	}
	if (association->control.fd == -1 && !open_control(association))
		return;
	if (association->n_early == EARLY_MAX || (early->message = malloc(len)) == NULL)
		return;
	memcpy(early->message, message, len);
	early->len = len;
	association->n_early++;
}
