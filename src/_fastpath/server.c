#include "server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "link.h"
#include "meant.h"
#include "pair.h"
#include "platform.h"
#include "redirect.h"
#include "tunnel.h"
#include "udp_inlet.h"
#include "udp_outlet.h"
#include "udp_stream.h"

static void client_free(struct client *client)
{
	request_cancel(&client->job);
	client->item.fd = -1;
	list_remove(&client->node);
	list_remove(&client->task.node);
	list_remove(&client->timer.node);
	engine_bury(client->engine, &client->grave);
}

void client_close(struct client *client)
{
	close(client->item.fd);
	client_free(client);
}

/* Answers to messages that came in one piece leave in one piece: each piece wakes the client.
 * Small ones to a young socket always fit its buffer; one that does not is not worth waiting. */
static bool client_send(struct client *client, int flags)
{
	size_t len = client->out_len;

	client->out_len = 0;
	flags |= MSG_NOSIGNAL | MSG_DONTWAIT;
	return len == 0 || send(client->item.fd, client->out, len, flags) == (ssize_t)len;
}

static bool client_flush(struct client *client)
{
	return client_send(client, 0);
}

static void client_answer(struct client *client, uint8_t code, const struct socks5_addr *addr)
{
	client->out_len += (size_t)socks5_make_reply(client->out + client->out_len,
						     sizeof client->out - client->out_len, code,
						     addr);
}

static void client_refuse(struct client *client, uint8_t code)
{
	client_answer(client, code, NULL);
	(void)client_flush(client);
	client_close(client);
}

/* Without a tunnel: the request has been carried out. */
static void client_done(struct request_job *job, uint8_t code, const struct socks5_addr *addr, int fd)
{
	struct client *client = list_entry(job, struct client, job);
	struct socks5_addr more;
	bool sent;

	client_answer(client, code, addr);
	sent = client_flush(client);
	while (sent && request_next(job, &more)) {
		client_answer(client, code, &more);
		sent = client_flush(client);
	}
	if (!sent || fd == -1) {
		if (fd != -1)
			close(fd);
		client_close(client);
		return;
	}
	if (client->len > 0 && send(fd, client->buf, client->len, MSG_NOSIGNAL | MSG_DONTWAIT) !=
				       (ssize_t)client->len) {
		socket_reset(fd);
		client_close(client);
		return;
	}
	if (pair_open(client->engine, client->item.fd, true, fd, true) == NULL) {
		socket_reset(fd);
		client_close(client);
		return;
	}
	client_free(client);
}

static void client_dial(struct client *client, const struct socks5_request *request)
{
	client->state = CLIENT_DIALLING;
	list_remove(&client->timer.node);
	client->job.engine = client->engine;
	client->job.request = *request;
	client->job.done = client_done;
	request_start(&client->job);
}

static void client_eat(struct client *client, ssize_t len)
{
	client->len -= (size_t)len;
	memmove(client->buf, client->buf + len, client->len);
}

static int take_greeting(struct client *client)
{
	struct socks5_greeting greeting;
	ssize_t n = socks5_take_greeting(client->buf, client->len, &greeting);
	uint8_t wanted = client->server->with_password ? SOCKS5_USERPASS : SOCKS5_NO_AUTH;
	bool offered;

	if (n <= 0)
		return n == 0 ? 0 : -1;
	offered = memchr(greeting.methods, wanted, greeting.n_methods) != NULL;
	client->out_len += (size_t)socks5_make_method(client->out + client->out_len, 2,
						      offered ? wanted
							      : (uint8_t)SOCKS5_NO_ACCEPTABLE);
	if (!offered)
		return -1;
	client_eat(client, n);
	client->state = client->server->with_password ? CLIENT_PASSWORD : CLIENT_REQUEST;
	return 1;
}

/* As long for a wrong byte at the front as for one at the end. */
static bool equal(const uint8_t *a, const uint8_t *b, size_t len)
{
	uint8_t differ = 0;

	for (size_t i = 0; i < len; i++)
		differ |= (uint8_t)(a[i] ^ b[i]);
	return differ == 0;
}

static int take_password(struct client *client)
{
	const struct server *server = client->server;
	struct socks5_userpass given;
	ssize_t n = socks5_take_userpass(client->buf, client->len, &given);
	bool right;

	if (n <= 0)
		return n == 0 ? 0 : -1;
	right = given.user_len == server->user_len && given.pass_len == server->pass_len &&
		equal(given.user, server->user, server->user_len) &&
		equal(given.pass, server->pass, server->pass_len);
	client->out_len += (size_t)socks5_make_userpass_status(client->out + client->out_len, 2,
							       right ? 0 : 1);
	if (!right)
		return -1;
	client_eat(client, n);
	client->state = CLIENT_REQUEST;
	return 1;
}

/* Its connection is the association's from now on; the answer names the socket made for it. */
static void client_associate(struct client *client, struct tunnel *tunnel,
			     const struct socks5_request *request)
{
	struct udp_half *other = tunnel != NULL ? udp_stream_open(tunnel) : udp_outlet_open(client->engine);
	struct udp_inlet *inlet = other == NULL ? NULL
						: udp_inlet_open(client->engine, client->item.fd, request);
	struct socks5_addr bound;

	if (inlet == NULL) {
		if (other != NULL)
			other->close(other);
		client_refuse(client, SOCKS5_GENERAL_FAILURE);
		return;
	}
	udp_join(&inlet->half, other);
	address_to_socks(&bound, &inlet->bound);
	client_answer(client, SOCKS5_SUCCEEDED, &bound);
	if (!client_flush(client))
		udp_close(&inlet->half);
	client_free(client);
}

/* Returns -2 when the client has become something else. */
static int take_request(struct client *client)
{
	struct socks5_request request;
	struct tunnel *tunnel = client->server->tunnel;
	ssize_t n = socks5_take_request(client->buf, client->len, &request);

	if (n == 0)
		return 0;
	if (n < 0) {
		client_refuse(client, socks5_reply_for(client->buf, client->len));
		return -2;
	}
	if (request.cmd == SOCKS5_UDP_ASSOCIATE || request.cmd == SOCKS5_UDP_CONNECT) {
		client_associate(client, tunnel, &request);
		return -2;
	}
	if (request.cmd != SOCKS5_CONNECT && request.cmd != SOCKS5_RESOLVE &&
	    request.cmd != SOCKS5_RESOLVE_PTR) {
		client_refuse(client, SOCKS5_BAD_COMMAND);
		return -2;
	}
	if (tunnel == NULL) {
		client_eat(client, n);
		client_dial(client, &request);
	} else if (!client_send(client, MSG_MORE)) { /* the pod's reply takes it along: tcp(7) */
		client_close(client);
	} else if (link_open(tunnel, client->item.fd, &client->item, client->buf, client->len) == 0) {
		client_free(client);
	} else {
		client_refuse(client, SOCKS5_GENERAL_FAILURE);
	}
	return -2;
}

static int client_step(struct client *client)
{
	switch (client->state) {
	case CLIENT_GREETING:
		return take_greeting(client);
	case CLIENT_PASSWORD:
		return take_password(client);
	case CLIENT_REQUEST:
		return take_request(client);
	case CLIENT_DIALLING:
		break;
	}
	return 0;
}

static void client_run(struct task *task)
{
	struct client *client = list_entry(task, struct client, task);
	ssize_t n;
	int rc;

	if (client->state == CLIENT_DIALLING)
		return; /* early data waits in the kernel */
	n = recv(client->item.fd, client->buf + client->len, sizeof client->buf - client->len,
		 MSG_DONTWAIT);
	if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
		if (errno == EINTR)
			engine_task(client->engine, task);
		return;
	}
	if (n <= 0 || client->server == NULL) {
		client_close(client);
		return;
	}
	client->len += (size_t)n;
	do
		rc = client_step(client);
	while (rc == 1);
	if (rc == -2)
		return;
	if (!client_flush(client) || rc == -1)
		client_close(client);
	else
		engine_task(client->engine, task);
}

static void client_ready(struct poll_item *item, unsigned events)
{
	struct client *client = list_entry(item, struct client, item);

	if (client->state == CLIENT_DIALLING && (events & POLL_BROKEN) != 0)
		client_close(client);
	else if ((events & POLL_READ) != 0)
		engine_task(client->engine, &client->task);
}

static void client_expired(struct timer *timer)
{
	client_close(list_entry(timer, struct client, timer));
}

static void client_open(struct server *server, int fd)
{
	struct client *client = calloc(1, sizeof *client);

	if (client == NULL) {
		close(fd);
		return;
	}
	client->server = server;
	client->engine = server->engine;
	client->task.run = client_run;
	client->timer.expired = client_expired;
	client->item = (struct poll_item){fd, client_ready};
	list_init(&client->task.node);
	list_init(&client->timer.node);
	list_append(&server->engine->clients, &client->node);
	server->engine->counters.clients++;
	if (poller_add(server->engine->poller, &client->item) != 0) {
		client_close(client);
		return;
	}
	engine_timer(server->engine, &client->timer, TIMER_HANDSHAKE);
}

static void server_accepted(struct acceptor *acceptor, int fd)
{
	struct server *server = list_entry(acceptor, struct server, acceptor);

	if (server->transparent)
		redirect_open(server, fd);
	else
		client_open(server, fd);
}

struct server *server_open(struct engine *engine, int listener, struct tunnel *tunnel,
			   const char *user, const char *pass)
{
	struct server *server = calloc(1, sizeof *server);
	int rc;

	if (server == NULL)
		return NULL;
	server->engine = engine;
	server->tunnel = tunnel;
	server->number = ++engine->numbers;
	if (user != NULL) {
		server->with_password = true;
		server->user_len = (uint8_t)strlen(user);
		server->pass_len = (uint8_t)strlen(pass);
		memcpy(server->user, user, server->user_len);
		memcpy(server->pass, pass, server->pass_len);
	}
	rc = acceptor_open(&server->acceptor, engine, listener, server_accepted);
	if (rc != 0) {
		free(server);
		errno = -rc;
		return NULL;
	}
	list_append(&engine->servers, &server->node);
	return server;
}

void server_close(struct server *server)
{
	struct list *node, *next;

	for (node = server->engine->clients.next; node != &server->engine->clients; node = next) {
		struct client *client = list_entry(node, struct client, node);

		next = node->next;
		if (client->server == server && client->state != CLIENT_DIALLING)
			client_close(client);
		else if (client->server == server)
			client->server = NULL;
	}
	acceptor_close(&server->acceptor);
	if (server->meant != NULL)
		meant_close(server->meant, server->engine);
	list_remove(&server->node);
	engine_bury(server->engine, &server->grave);
}
