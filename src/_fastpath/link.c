#include "link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exposure.h"
#include "platform.h"
#include "request.h"
#include "tunnel.h"

enum {
	READS_A_TURN = 4, /* 256 KiB, then the next link's turn */
	READ_MIN = 4096,  /* a smaller rest of a block is left unused */
	VECTORS = 8,
};

/* A stream of the peer's whose request is being carried out. */
struct dialling {
	struct grave grave; /* first */
	struct request_job job;
	struct link *link;
	uint16_t exposed_port; /* laptop: the pod's port that the connection came to */
};

/* The beginning of a stream of ours whose reply is not the program's to read. */
struct answer {
	struct grave grave; /* first */
	size_t len;
	uint8_t head[SOCKS5_REPLY_MAX];
};

struct link {
	struct end end; /* first */
	struct poll_item item;
	struct dialling *dialling; /* until the peer's request has been carried out */
	struct answer *answer;	   /* of link_open_connect(): until the reply has come */
	struct link_ahead *ahead;  /* who waits for it */
	struct chain inbox;
	bool readable, writable, hangup, broken;
	bool read_done;	 /* end of file seen and FIN sent */
	bool write_done; /* the peer's FIN passed on */
	bool service;	 /* the socket is one end of a pair, whose other end a process may have */
	bool deaf;	 /* the socket takes no more; what it says is still read */
	bool ending;	 /* the peer's reset waits for the inbox */
};

static void dialling_end(struct link *link)
{
	if (link->dialling == NULL)
		return;
	request_cancel(&link->dialling->job);
	engine_bury(link->end.tunnel->engine, &link->dialling->grave);
	link->dialling = NULL;
}

static void answer_end(struct link *link)
{
	if (link->answer != NULL)
		engine_bury(link->end.tunnel->engine, &link->answer->grave);
	link->answer = NULL;
}

static void settle(struct link *link, uint8_t code)
{
	struct link_ahead *ahead = link->ahead;
	bool waits = link->answer != NULL;

	if (ahead == NULL)
		return;
	if (code != SOCKS5_SUCCEEDED) {
		link->ahead = NULL;
		ahead->link = NULL;
	}
	if (waits)
		ahead->settled(ahead, code);
}

/* What is left is the end, and the socket. */
static void link_clear(struct link *link)
{
	settle(link, SOCKS5_GENERAL_FAILURE);
	dialling_end(link);
	answer_end(link);
	chain_clear(&link->inbox, &link->end.tunnel->engine->pool);
	link->item.fd = -1;
}

static void link_reset(struct end *end)
{
	struct link *link = (struct link *)end;

	if (link->item.fd != -1)
		socket_reset(link->item.fd);
	link_clear(link);
	end_reset(end);
}

/* From the peer: what it sent before its own end is still the program's to read. */
static void link_end(struct end *end)
{
	struct link *link = (struct link *)end;

	if (end->stream->reset && end->stream->fin_received && link->inbox.length > 0 && !link->ending) {
		link->ending = true;
		engine_task(end->tunnel->engine, &end->task);
		return;
	}
	link_reset(end);
}

/* A server that answers and closes before it has read all, a process that ends: their last words are
 * in the socket, behind the error of a write. */
static void link_deafen(struct link *link)
{
	size_t left = link->inbox.length;

	chain_clear(&link->inbox, &link->end.tunnel->engine->pool);
	end_consumed(&link->end, left);
	link->deaf = link->broken = link->readable = true;
	engine_task(link->end.tunnel->engine, &link->end.task);
}

/* Both directions have ended in order. */
static bool link_finish(struct link *link)
{
	if (!link->read_done || !link->write_done)
		return false;
	if (link->item.fd != -1)
		close(link->item.fd);
	link_clear(link);
	end_free(&link->end);
	return true;
}

/* Send queued bytes to the socket. */
static void link_flush(struct link *link)
{
	struct iovec vectors[VECTORS];

	while (link->writable && link->inbox.length > 0) {
		struct msghdr msg = {.msg_iov = vectors};
		ssize_t n;

		msg.msg_iovlen = (__typeof__(msg.msg_iovlen))chain_vectors(&link->inbox, vectors, VECTORS);
		n = sendmsg(link->item.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN) {
			link->writable = false;
			break;
		}
		if (n == -1) {
			link_deafen(link);
			break;
		}
		chain_drop(&link->inbox, &link->end.tunnel->engine->pool, (size_t)n);
		end_consumed(&link->end, (size_t)n);
	}
	if (link->inbox.length == 0 && link->end.stream->fin_received && !link->write_done) {
		link->write_done = true;
		(void)shutdown(link->item.fd, SHUT_WR);
	}
}

/* One read from the socket into a frame.  Returns 1: go on, 0: stop for now, -1: the link is gone. */
static int link_read(struct link *link)
{
	struct tunnel *tunnel = link->end.tunnel;
	size_t room;
	uint8_t *to = outbox_reserve(&tunnel->out, &tunnel->engine->pool, FRAME_HEADER + READ_MIN, &room);
	ssize_t n;

	if (to == NULL) {
		link_reset(&link->end);
		return -1;
	}
	room -= FRAME_HEADER;
	if (room > link->end.stream->send_window)
		room = link->end.stream->send_window;
	n = recv(link->item.fd, to + FRAME_HEADER, room, MSG_DONTWAIT);
	if (n > 0) {
		mux_data(link->end.stream, to, (uint32_t)n);
		outbox_commit(&tunnel->out, FRAME_HEADER + (size_t)n);
		/* A short read has emptied the socket (epoll(7), Q&A 9), unless an end is waiting
		 * behind it for which no further edge will come. */
		if ((size_t)n < room && !link->hangup)
			link->readable = false;
		return 1;
	}
	if (n == -1 && errno == EINTR)
		return 1;
	link->readable = false;
	if (n == -1 && errno == EAGAIN)
		return 0;
	/* A Unix socket speaks of a reset when bytes to the process were left unread (unix(7)); what
	 * came from it is complete all the same.  TCP says so of a write that failed. */
	if (link->service ? n == -1 && errno != ECONNRESET : n == -1 || link->deaf) {
		link_reset(&link->end);
		return -1;
	}
	link->read_done = true;
	mux_fin(&tunnel->mux, link->end.stream);
	return 0;
}

static void link_run(struct task *task)
{
	struct link *link = list_entry(task, struct link, end.task);
	struct tunnel *tunnel = link->end.tunnel;

	if (link->item.fd == -1)
		return;
	link_flush(link);
	if (link->ending) {
		if (link->inbox.length == 0)
			link_reset(&link->end);
		return;
	}
	for (int i = 0; i < READS_A_TURN && link->readable && !link->read_done; i++) {
		int rc;

		if (link->end.stream->send_window == 0)
			return; /* credit brings it back */
		if (tunnel_full(tunnel)) {
			if (list_empty(&link->end.waiting))
				list_append(&tunnel->waiting, &link->end.waiting);
			return;
		}
		rc = link_read(link);
		if (rc < 0)
			return;
		if (rc == 0)
			break;
	}
	if (link_finish(link))
		return;
	if (link->broken && link->read_done) {
		link_reset(&link->end); /* nobody is left to take what the peer still sends */
		return;
	}
	if (link->readable && !link->read_done)
		engine_task(tunnel->engine, task);
}

static void link_ready(struct poll_item *item, unsigned events)
{
	struct link *link = list_entry(item, struct link, item);

	link->readable |= (events & POLL_READ) != 0;
	link->writable |= (events & POLL_WRITE) != 0;
	link->hangup |= (events & POLL_HANGUP) != 0;
	link->broken |= (events & POLL_BROKEN) != 0;
	engine_task(link->end.tunnel->engine, &link->end.task);
}

/* Take the reply from the front; returns how many bytes are the program's, or -1: the link is gone. */
static ssize_t take_answer(struct link *link, const uint8_t *data, size_t len)
{
	struct answer *answer = link->answer;
	size_t before = answer->len;
	size_t part = sizeof answer->head - before;
	struct socks5_answer said;
	ssize_t eaten;

	if (part > len)
		part = len;
	memcpy(answer->head + before, data, part);
	answer->len += part;
	eaten = socks5_take_answer(answer->head, answer->len, &said);
	if (eaten < 0 || (eaten > 0 && said.code != SOCKS5_SUCCEEDED)) {
		settle(link, eaten < 0 ? (uint8_t)SOCKS5_GENERAL_FAILURE : said.code);
		link_reset(&link->end);
		return -1;
	}
	if (eaten > 0) {
		part = (size_t)eaten - before;
		settle(link, SOCKS5_SUCCEEDED);
		answer_end(link);
	}
	end_consumed(&link->end, part);
	return (ssize_t)(len - part);
}

static void link_data(struct end *end, const uint8_t *data, size_t len)
{
	struct link *link = (struct link *)end;
	struct engine *engine = end->tunnel->engine;

	if (link->answer != NULL) {
		ssize_t left = take_answer(link, data, len);

		if (left <= 0)
			return;
		data += len - (size_t)left;
		len = (size_t)left;
	}
	if (link->writable && link->inbox.length == 0 && !link->deaf) {
		ssize_t n = send(link->item.fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n == -1 && errno != EAGAIN && errno != EINTR)
			link_deafen(link);
		link->writable = n == (ssize_t)len || (n == -1 && errno == EINTR);
		if (n > 0) {
			end_consumed(end, (size_t)n);
			data += n;
			len -= (size_t)n;
		}
	}
	if (link->deaf)
		end_consumed(end, len);
	if (link->deaf || len == 0)
		return;
	if (chain_append(&link->inbox, &engine->pool, data, len) != 0)
		link_reset(end);
	else
		engine_task(engine, &end->task);
}

static void link_fin(struct end *end)
{
	if (((struct link *)end)->answer != NULL)
		link_reset(end); /* ended within its reply */
	else
		engine_task(end->tunnel->engine, &end->task);
}

static const struct end_kind link_kind = {
	.size = sizeof(struct link),
	.data = link_data,
	.fin = link_fin,
	.reset = link_end,
	.run = link_run,
};

int link_open(struct tunnel *tunnel, int fd, const struct poll_item *from, const uint8_t *head,
	      size_t len)
{
	struct link *link;
	int rc;

	if (tunnel->broken)
		return -EPIPE;
	link = (struct link *)end_open(tunnel, &link_kind);
	if (link == NULL)
		return -ENOMEM;
	link->item = (struct poll_item){fd, link_ready};
	if (fd == -1)
		rc = 0;
	else
		rc = from != NULL ? poller_replace(tunnel->engine->poller, &link->item)
				  : poller_add(tunnel->engine->poller, &link->item);
	if (rc == 0)
		rc = end_send(&link->end, head, len);
	if (rc != 0) {
		link->item.fd = -1;
		end_free(&link->end);
		return rc;
	}
	tunnel->engine->counters.streams_opened++;
	return 0;
}

static int open_connect(struct tunnel *tunnel, int fd, const struct socks5_addr *to, struct link_ahead *ahead)
{
	uint8_t head[SOCKS5_REQUEST_MAX];
	ssize_t len = socks5_make_request(head, sizeof head, SOCKS5_CONNECT, to);
	struct answer *answer = len < 0 ? NULL : calloc(1, sizeof *answer);
	struct link *link;
	int rc;

	if (answer == NULL)
		return len < 0 ? (int)len : -ENOMEM;
	rc = link_open(tunnel, fd, NULL, head, (size_t)len);
	if (rc != 0) {
		free(answer);
		return rc;
	}
	link = (struct link *)list_entry(tunnel->ends.prev, struct end, node); /* the newest */
	link->answer = answer;
	link->ahead = ahead;
	if (ahead != NULL)
		ahead->link = link;
	return 0;
}

int link_open_connect(struct tunnel *tunnel, int fd, const struct socks5_addr *to)
{
	return open_connect(tunnel, fd, to, NULL);
}

int link_open_ahead(struct tunnel *tunnel, const struct socks5_addr *to, struct link_ahead *ahead)
{
	return open_connect(tunnel, -1, to, ahead);
}

void link_adopt(struct link_ahead *ahead, int fd)
{
	struct link *link = ahead->link;

	if (link == NULL) {
		socket_reset(fd);
		return;
	}
	link->item.fd = fd;
	if (poller_add(link->end.tunnel->engine->poller, &link->item) != 0) {
		link_reset(&link->end);
		return;
	}
	link->writable = true;
	engine_task(link->end.tunnel->engine, &link->end.task);
}

void link_forget(struct link_ahead *ahead)
{
	if (ahead->link != NULL)
		ahead->link->ahead = NULL;
	ahead->link = NULL;
}

void link_abandon(struct link_ahead *ahead)
{
	struct link *link = ahead->link;

	link_forget(ahead);
	if (link != NULL)
		link_reset(&link->end);
}

/* `registered`: the poller knows the socket already, for another item. */
static void established(struct link *link, int fd, bool registered, const struct socks5_addr *addr)
{
	int poller = link->end.tunnel->engine->poller;
	int rc;

	dialling_end(link);
	link->item.fd = fd;
	rc = registered ? poller_replace(poller, &link->item) : poller_add(poller, &link->item);
	if (rc != 0 || end_reply(&link->end, SOCKS5_SUCCEEDED, addr) != 0) {
		link_reset(&link->end);
		return;
	}
	link->writable = true;
	engine_task(link->end.tunnel->engine, &link->end.task);
}

static void request_done(struct request_job *job, uint8_t code, const struct socks5_addr *addr, int fd)
{
	struct link *link = list_entry(job, struct dialling, job)->link;
	struct socks5_addr more;

	if (fd != -1) {
		established(link, fd, true, addr);
		return;
	}
	if (link->dialling->exposed_port != 0)
		exposure_refused(link->end.tunnel, link->dialling->exposed_port, job->error);
	(void)end_reply(&link->end, code, addr);
	while (request_next(job, &more))
		(void)end_reply(&link->end, code, &more);
	link_clear(link);
	end_fin(&link->end);
}

/* A service of the agent: the other end of a socket pair goes to Python. */
static void start_service(struct link *link, const struct socks5_addr *name)
{
	struct tunnel *tunnel = link->end.tunnel;
	struct engine_event *event = NULL;
	int ends[2] = {-1, -1};

	if (name->atyp == SOCKS5_DOMAIN && socket_pair(ends) == 0)
		event = engine_event(tunnel->engine, EVENT_SERVICE_OPENED);
	if (event == NULL) {
		if (ends[0] != -1) {
			close(ends[0]);
			close(ends[1]);
		}
		end_refuse(&link->end, SOCKS5_GENERAL_FAILURE);
		return;
	}
	link->service = true;
	event->tunnel = tunnel->number;
	event->fd = ends[1];
	memcpy(event->name, name->host, name->host_len);
	established(link, ends[0], false, NULL);
}

static int start_request(struct link *link, const struct socks5_request *request)
{
	struct dialling *dialling = calloc(1, sizeof *dialling);

	if (dialling == NULL)
		return -ENOMEM;
	dialling->link = link;
	dialling->job.engine = link->end.tunnel->engine;
	dialling->job.request = *request;
	dialling->job.done = request_done;
	link->dialling = dialling;
	if (link->end.tunnel->agent) {
		request_start(&dialling->job);
	} else {
		dialling->exposed_port = request->addr.port;
		exposure_addresses(exposure_of(link->end.tunnel, request->addr.port), &dialling->job);
		request_dial(&dialling->job);
	}
	return 0;
}

struct end *link_serve(struct tunnel *tunnel, struct mux_stream *stream,
		       const struct socks5_request *request)
{
	struct end *end = end_new(tunnel, stream, &link_kind);
	struct link *link = (struct link *)end;

	if (end == NULL)
		return NULL;
	link->item = (struct poll_item){-1, link_ready};
	if (request->cmd == SOCKS5_SERVICE)
		start_service(link, &request->addr);
	else if (start_request(link, request) != 0)
		end_refuse(end, SOCKS5_GENERAL_FAILURE);
	return end->stream == NULL ? NULL : end; /* buried, but not freed before the turn ends */
}
