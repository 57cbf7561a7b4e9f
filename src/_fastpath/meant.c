#include "meant.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform.h"

/* Nobody answers any more: what has no answer never gets one. */
static void meant_lost(struct meant *meant)
{
	if (meant->item.fd != -1)
		close(meant->item.fd);
	meant->item.fd = -1;
	for (; meant->count > 0; meant->count--, meant->first++)
		socket_reset(meant->waiting[meant->first % MEANT_WAITING]);
}

static bool flush(struct meant *meant)
{
	while (meant->out_len > 0) {
		ssize_t n = send(meant->item.fd, meant->out, meant->out_len, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) /* ENOBUFS: macOS, of a Unix socket that is full */
			return errno == EAGAIN || errno == ENOBUFS;
		meant->out_len -= (size_t)n;
		memmove(meant->out, meant->out + n, meant->out_len);
	}
	return true;
}

static void take_answer(struct meant *meant, const uint8_t *said)
{
	union address to;
	int fd = meant->waiting[meant->first++ % MEANT_WAITING];

	meant->count--;
	memset(&to, 0, sizeof to);
	if (said[0] == 4) {
		to.v4.sin_family = AF_INET;
		memcpy(&to.v4.sin_addr, said + 4, sizeof to.v4.sin_addr);
	} else {
		to.v6.sin6_family = AF_INET6;
		memcpy(&to.v6.sin6_addr, said + 4, sizeof to.v6.sin6_addr);
	}
	address_set_port(&to, (uint16_t)(said[2] << 8 | said[3]));
	meant->known(meant->server, fd, said[0] == 4 || said[0] == 6 ? &to : NULL);
}

/* False: the end, or an answer to nothing. */
static bool take_answers(struct meant *meant)
{
	for (;;) {
		size_t taken = 0;
		ssize_t n = recv(meant->item.fd, meant->in + meant->in_len,
				 sizeof meant->in - meant->in_len, MSG_DONTWAIT);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == -1 && errno == EAGAIN;
		meant->in_len += (size_t)n;
		for (; meant->in_len - taken >= MEANT_ANSWER; taken += MEANT_ANSWER) {
			if (meant->count == 0)
				return false;
			take_answer(meant, meant->in + taken);
		}
		meant->in_len -= taken;
		memmove(meant->in, meant->in + taken, meant->in_len);
	}
}

static void meant_ready(struct poll_item *item, unsigned events)
{
	struct meant *meant = list_entry(item, struct meant, item);

	(void)events;
	if (!flush(meant) || !take_answers(meant))
		meant_lost(meant);
}

struct meant *meant_open(struct engine *engine, int fd, struct server *server,
			 void (*known)(struct server *server, int fd, const union address *to))
{
	struct meant *meant = calloc(1, sizeof *meant);
	int rc;

	if (meant == NULL)
		return NULL;
	meant->server = server;
	meant->known = known;
	meant->item = (struct poll_item){fd, meant_ready};
	rc = socket_prepare(fd);
	if (rc == 0)
		rc = poller_add(engine->poller, &meant->item);
	if (rc != 0) {
		free(meant);
		errno = -rc;
		return NULL;
	}
	return meant;
}

void meant_close(struct meant *meant, struct engine *engine)
{
	meant_lost(meant);
	engine_bury(engine, &meant->grave);
}

static void put(uint8_t *port, uint8_t *host, const union address *addr)
{
	bool v4 = addr->any.sa_family == AF_INET;

	port[0] = (uint8_t)(address_port(addr) >> 8);
	port[1] = (uint8_t)address_port(addr);
	memcpy(host, v4 ? (const void *)&addr->v4.sin_addr : (const void *)&addr->v6.sin6_addr,
	       v4 ? sizeof addr->v4.sin_addr : sizeof addr->v6.sin6_addr);
}

int meant_ask(struct meant *meant, int fd)
{
	union address program, ours;
	socklen_t program_len = sizeof program, ours_len = sizeof ours;
	uint8_t *question = meant->out + meant->out_len;

	if (meant->item.fd == -1)
		return -EPIPE;
	if (meant->count == MEANT_WAITING)
		return -ENOBUFS;
	if (getpeername(fd, &program.any, &program_len) == -1 || getsockname(fd, &ours.any, &ours_len) == -1)
		return -errno;
	memset(question, 0, MEANT_QUESTION);
	question[0] = program.any.sa_family == AF_INET ? 4 : 6;
	put(question + 2, question + 6, &program);
	put(question + 4, question + 22, &ours);
	meant->out_len += MEANT_QUESTION; /* as many as wait have room */
	meant->waiting[(meant->first + meant->count++) % MEANT_WAITING] = fd;
	if (!flush(meant))
		meant_lost(meant);
	return 0;
}
