#include "link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "request.h"
#include "tunnel.h"

enum {
	READS_A_TURN = 4, /* 256 KiB, then the next link's turn */
	READ_MIN = 4096,  /* a smaller rest of a block is left unused */
	VECTORS = 8,
};

/* The agent's side of a stream whose request is being read or carried out. */
struct opening {
	struct grave grave; /* first */
	struct request_job job;
	struct link *link;
	bool started;
	size_t len;
	uint8_t head[SOCKS5_REQUEST_MAX];
};

/* The laptop's side of a stream whose reply is not the program's to read. */
struct answer {
	struct grave grave; /* first */
	size_t len;
	uint8_t head[SOCKS5_REPLY_MAX];
};

static void link_run(struct task *task);
static void link_ready(struct poll_item *item, unsigned events);

static struct link *link_new(struct tunnel *tunnel, struct mux_stream *stream)
{
	struct link *link = calloc(1, sizeof *link);

	if (link == NULL)
		return NULL;
	link->tunnel = tunnel;
	link->stream = stream;
	link->task.run = link_run;
	link->item = (struct poll_item){-1, link_ready};
	list_init(&link->task.node);
	list_init(&link->waiting);
	list_append(&tunnel->links, &link->node);
	return link;
}

static void opening_end(struct link *link)
{
	if (link->opening == NULL)
		return;
	request_cancel(&link->opening->job);
	engine_bury(link->tunnel->engine, &link->opening->grave);
	link->opening = NULL;
}

static void answer_end(struct link *link)
{
	if (link->answer != NULL)
		engine_bury(link->tunnel->engine, &link->answer->grave);
	link->answer = NULL;
}

static void link_free(struct link *link)
{
	struct engine *engine = link->tunnel->engine;

	opening_end(link);
	answer_end(link);
	list_remove(&link->node);
	list_remove(&link->waiting);
	list_remove(&link->task.node);
	chain_clear(&link->inbox, &engine->pool);
	mux_release(&link->tunnel->mux, link->stream);
	link->item.fd = -1;
	engine_bury(engine, &link->grave);
}

void link_reset(struct link *link)
{
	mux_reset(&link->tunnel->mux, link->stream);
	link->tunnel->engine->counters.streams_reset++;
	if (link->item.fd != -1)
		socket_reset(link->item.fd);
	link_free(link);
}

/* Both directions have ended in order. */
static bool link_finish(struct link *link)
{
	if (!link->read_done || !link->write_done)
		return false;
	if (link->item.fd != -1)
		close(link->item.fd);
	link_free(link);
	return true;
}

static void consumed(struct link *link, size_t len)
{
	mux_consumed(&link->tunnel->mux, link->stream, (uint32_t)len, link->tunnel->engine->now_us);
}

/* Send queued bytes to the socket; false: the link is gone. */
static bool link_flush(struct link *link)
{
	struct iovec vectors[VECTORS];

	while (link->writable && link->inbox.length > 0) {
		struct msghdr msg = {.msg_iov = vectors};
		ssize_t n;

		msg.msg_iovlen = (size_t)chain_vectors(&link->inbox, vectors, VECTORS);
		n = sendmsg(link->item.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN) {
			link->writable = false;
			break;
		}
		if (n == -1) {
			link_reset(link);
			return false;
		}
		chain_drop(&link->inbox, &link->tunnel->engine->pool, (size_t)n);
		consumed(link, (size_t)n);
	}
	if (link->inbox.length == 0 && link->stream->fin_received && !link->write_done) {
		link->write_done = true;
		(void)shutdown(link->item.fd, SHUT_WR);
	}
	return true;
}

/* One read from the socket into a frame.  Returns 1: go on, 0: stop for now, -1: the link is gone. */
static int link_read(struct link *link)
{
	struct tunnel *tunnel = link->tunnel;
	size_t room;
	uint8_t *to = outbox_reserve(&tunnel->out, &tunnel->engine->pool, FRAME_HEADER + READ_MIN, &room);
	ssize_t n;

	if (to == NULL) {
		link_reset(link);
		return -1;
	}
	room -= FRAME_HEADER;
	if (room > link->stream->send_window)
		room = link->stream->send_window;
	n = recv(link->item.fd, to + FRAME_HEADER, room, MSG_DONTWAIT);
	if (n > 0) {
		mux_data(link->stream, to, (uint32_t)n);
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
	if (n == -1) {
		link_reset(link);
		return -1;
	}
	link->read_done = true;
	mux_fin(&tunnel->mux, link->stream);
	return 0;
}

static void link_run(struct task *task)
{
	struct link *link = list_entry(task, struct link, task);
	struct tunnel *tunnel = link->tunnel;

	if (link->item.fd == -1 || !link_flush(link))
		return;
	for (int i = 0; i < READS_A_TURN && link->readable && !link->read_done; i++) {
		int rc;

		if (link->stream->send_window == 0)
			return; /* credit brings it back */
		if (tunnel_full(tunnel)) {
			if (list_empty(&link->waiting))
				list_append(&tunnel->waiting, &link->waiting);
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
		link_reset(link); /* nobody is left to take what the peer still sends */
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
	engine_task(link->tunnel->engine, &link->task);
}

/* Queue bytes of our own making, which fit the window of a young stream. */
static int link_send(struct link *link, const uint8_t *data, size_t len)
{
	struct tunnel *tunnel = link->tunnel;
	size_t room;
	uint8_t *to;

	if (len > link->stream->send_window)
		return -ENOBUFS;
	to = outbox_reserve(&tunnel->out, &tunnel->engine->pool, FRAME_HEADER + len, &room);
	if (to == NULL)
		return -ENOMEM;
	mux_data(link->stream, to, (uint32_t)len);
	memcpy(to + FRAME_HEADER, data, len);
	outbox_commit(&tunnel->out, FRAME_HEADER + len);
	return 0;
}

int link_open(struct tunnel *tunnel, int fd, const struct poll_item *from, const uint8_t *head,
	      size_t len)
{
	struct mux_stream *stream;
	struct link *link;
	int rc;

	if (tunnel->broken)
		return -EPIPE;
	stream = mux_open(&tunnel->mux, NULL);
	if (stream == NULL)
		return -ENOMEM;
	link = link_new(tunnel, stream);
	if (link == NULL) {
		mux_release(&tunnel->mux, stream);
		return -ENOMEM;
	}
	stream->owner = link;
	link->item.fd = fd;
	rc = from != NULL ? poller_replace(tunnel->engine->poller, &link->item)
			  : poller_add(tunnel->engine->poller, &link->item);
	if (rc == 0)
		rc = link_send(link, head, len);
	if (rc != 0) {
		link->item.fd = -1;
		link_free(link);
		return rc;
	}
	tunnel->engine->counters.streams_opened++;
	return 0;
}

int link_open_connect(struct tunnel *tunnel, int fd, const struct socks5_addr *to)
{
	uint8_t head[SOCKS5_REQUEST_MAX];
	ssize_t len = socks5_make_request(head, sizeof head, SOCKS5_CONNECT, to);
	struct answer *answer = len < 0 ? NULL : calloc(1, sizeof *answer);
	int rc;

	if (answer == NULL)
		return len < 0 ? (int)len : -ENOMEM;
	rc = link_open(tunnel, fd, NULL, head, (size_t)len);
	if (rc != 0)
		free(answer);
	else /* the newest link is the last */
		list_entry(tunnel->links.prev, struct link, node)->answer = answer;
	return rc;
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
	if (eaten == 0) {
		consumed(link, part);
		return 0;
	}
	if (eaten < 0 || said.code != SOCKS5_SUCCEEDED) {
		link_reset(link);
		return -1;
	}
	part = (size_t)eaten - before;
	consumed(link, part);
	answer_end(link);
	return (ssize_t)(len - part);
}

/* The reply is the last that is sent; what the peer still sends is dropped by the mux. */
static void refuse(struct link *link, uint8_t code, const struct socks5_addr *addr)
{
	uint8_t reply[SOCKS5_REPLY_MAX];
	ssize_t len = socks5_make_reply(reply, sizeof reply, code, addr);

	(void)link_send(link, reply, (size_t)len);
	mux_fin(&link->tunnel->mux, link->stream);
	link_free(link);
}

/* `registered`: the poller knows the socket already, for another item. */
static void established(struct link *link, int fd, bool registered, const struct socks5_addr *addr)
{
	uint8_t reply[SOCKS5_REPLY_MAX];
	ssize_t len = socks5_make_reply(reply, sizeof reply, SOCKS5_SUCCEEDED, addr);
	int poller = link->tunnel->engine->poller;
	int rc;

	opening_end(link);
	link->item.fd = fd;
	rc = registered ? poller_replace(poller, &link->item) : poller_add(poller, &link->item);
	if (rc != 0 || link_send(link, reply, (size_t)len) != 0) {
		link_reset(link);
		return;
	}
	link->writable = true;
	engine_task(link->tunnel->engine, &link->task);
}

static void request_done(struct request_job *job, uint8_t code, const struct socks5_addr *addr, int fd)
{
	struct link *link = list_entry(job, struct opening, job)->link;

	if (fd == -1)
		refuse(link, code, addr);
	else
		established(link, fd, true, addr);
}

/* A service of the agent: the other end of a socket pair goes to Python. */
static void start_service(struct link *link, const struct socks5_addr *name)
{
	struct engine_event *event = NULL;
	int ends[2] = {-1, -1};

	if (name->atyp == SOCKS5_DOMAIN &&
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0)
		event = engine_event(link->tunnel->engine, EVENT_SERVICE_OPENED);
	if (event == NULL) {
		if (ends[0] != -1) {
			close(ends[0]);
			close(ends[1]);
		}
		refuse(link, SOCKS5_GENERAL_FAILURE, NULL);
		return;
	}
	event->tunnel = link->tunnel->number;
	event->fd = ends[1];
	memcpy(event->name, name->host, name->host_len);
	established(link, ends[0], false, NULL);
}

void link_accept(struct tunnel *tunnel, struct mux_stream *stream)
{
	struct link *link = link_new(tunnel, stream);
	struct opening *opening = link == NULL || !tunnel->agent ? NULL : calloc(1, sizeof *opening);

	stream->owner = link;
	if (opening == NULL) {
		/* No memory, or a laptop that is asked to connect: nothing exposes a port yet. */
		mux_reset(&tunnel->mux, stream);
		if (link != NULL)
			link_free(link);
		else
			mux_release(&tunnel->mux, stream);
		return;
	}
	opening->link = link;
	link->opening = opening;
	tunnel->engine->counters.streams_accepted++;
}

/* Returns how many of the bytes belong to the request; the link may be gone afterwards. */
static size_t read_request(struct link *link, const uint8_t *data, size_t len)
{
	struct opening *opening = link->opening;
	size_t before = opening->len;
	size_t part = sizeof opening->head - before;
	ssize_t eaten;

	if (part > len)
		part = len;
	memcpy(opening->head + before, data, part);
	opening->len += part;
	eaten = socks5_take_request(opening->head, opening->len, &opening->job.request);
	if (eaten == 0) {
		consumed(link, part);
		return part;
	}
	if (eaten < 0) {
		refuse(link, socks5_reply_for(opening->head, opening->len), NULL);
		return len;
	}
	part = (size_t)eaten - before;
	consumed(link, part);
	opening->started = true;
	return part;
}

static void start_request(struct link *link)
{
	struct opening *opening = link->opening;

	if (opening->job.request.cmd == SOCKS5_SERVICE) {
		start_service(link, &opening->job.request.addr);
		return;
	}
	opening->job.engine = link->tunnel->engine;
	opening->job.done = request_done;
	request_start(&opening->job);
}

void link_data(struct link *link, const uint8_t *data, size_t len)
{
	struct engine *engine = link->tunnel->engine;
	bool start = false;

	if (link->answer != NULL) {
		ssize_t left = take_answer(link, data, len);

		if (left <= 0)
			return;
		data += len - (size_t)left;
		len = (size_t)left;
	}
	if (link->opening != NULL && !link->opening->started) {
		struct opening *opening = link->opening;
		size_t part = read_request(link, data, len);

		if (link->opening != opening || !opening->started)
			return;
		start = true;
		data += part;
		len -= part;
	}
	if (link->writable && link->inbox.length == 0 && len > 0) {
		ssize_t n = send(link->item.fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n == -1 && errno != EAGAIN && errno != EINTR) {
			link_reset(link);
			return;
		}
		link->writable = n == (ssize_t)len || (n == -1 && errno == EINTR);
		if (n > 0) {
			consumed(link, (size_t)n);
			data += n;
			len -= (size_t)n;
		}
	}
	if (len > 0 && chain_append(&link->inbox, &engine->pool, data, len) != 0) {
		link_reset(link);
		return;
	}
	if (start)
		start_request(link);
	else if (len > 0)
		engine_task(engine, &link->task);
}

void link_fin(struct link *link)
{
	if ((link->opening != NULL && !link->opening->started) || link->answer != NULL)
		link_reset(link); /* ended within its request or reply */
	else
		engine_task(link->tunnel->engine, &link->task);
}
