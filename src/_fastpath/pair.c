#include "pair.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	PIPE_BYTES = 256 * 1024, /* four times the default; unprivileged users may (pipe(7)) */
	MOVES_A_TURN = 8,
};

static int half_open(struct half *half, struct pipes *pipes)
{
	if (pipes->count > 0) {
		memcpy(half->pipe, pipes->ends[--pipes->count], sizeof half->pipe);
		return 0;
	}
	if (pipe2(half->pipe, O_NONBLOCK | O_CLOEXEC) == -1)
		return -errno;
	(void)fcntl(half->pipe[1], F_SETPIPE_SZ, PIPE_BYTES);
	return 0;
}

/* Idle connections hold no pipe; one with bytes in it cannot be used by another. */
static void half_close(struct half *half, struct pipes *pipes)
{
	if (half->pipe[0] == -1)
		return;
	if (half->held == 0 && pipes->count < PIPES_KEEP) {
		memcpy(pipes->ends[pipes->count++], half->pipe, sizeof half->pipe);
	} else {
		close(half->pipe[0]);
		close(half->pipe[1]);
	}
	half->pipe[0] = half->pipe[1] = -1;
}

void pipes_clear(struct engine *engine)
{
	while (engine->pipes.count > 0) {
		int *ends = engine->pipes.ends[--engine->pipes.count];

		close(ends[0]);
		close(ends[1]);
	}
}

static void pair_free(struct pair *pair)
{
	for (int i = 0; i < 2; i++) {
		half_close(&pair->sides[i].out, &pair->engine->pipes);
		pair->sides[i].item.fd = -1;
	}
	list_remove(&pair->node);
	list_remove(&pair->task.node);
	engine_bury(pair->engine, &pair->grave);
}

void pair_close(struct pair *pair)
{
	socket_reset(pair->sides[0].item.fd);
	socket_reset(pair->sides[1].item.fd);
	pair_free(pair);
}

static int half_fill(struct side *from)
{
	struct half *half = &from->out;
	ssize_t n;

	if (half->pipe[0] == -1) {
		int rc = half_open(half, &from->pair->engine->pipes);

		if (rc != 0)
			return rc;
	}
	n = splice(from->item.fd, NULL, half->pipe[1], NULL, PIPE_BYTES,
		   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	if (n > 0)
		half->held = (size_t)n;
	else if (n == 0)
		half->ended = true;
	else if (errno == EAGAIN) /* the pipe is empty, so it is the socket that is dry */
		from->readable = false;
	else if (errno != EINTR)
		return -errno;
	return 0;
}

static int half_drain(struct half *half, struct side *to)
{
	ssize_t n = splice(half->pipe[0], NULL, to->item.fd, NULL, half->held,
			   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

	if (n >= 0)
		half->held -= (size_t)n;
	else if (errno == EAGAIN)
		to->writable = false;
	else if (errno != EINTR)
		return -errno;
	return 0;
}

/* Returns 1: more can be moved at once, 0: not now, or -errno. */
static int half_pump(struct side *from, struct side *to)
{
	struct half *half = &from->out;
	int rc = 0;

	for (int i = 0; i < MOVES_A_TURN; i++) {
		if (half->done)
			return 0;
		if (half->held == 0 && from->readable && !half->ended)
			rc = half_fill(from);
		if (rc == 0 && half->held > 0 && to->writable)
			rc = half_drain(half, to);
		if (rc != 0)
			return rc;
		if (half->held > 0 && !to->writable)
			return 0;
		if (half->held == 0 && half->ended) {
			half->done = true;
			half_close(half, &from->pair->engine->pipes);
			(void)shutdown(to->item.fd, SHUT_WR);
			return 0;
		}
		if (half->held == 0 && !from->readable) {
			half_close(half, &from->pair->engine->pipes);
			return 0;
		}
	}
	return 1;
}

static void pair_run(struct task *task)
{
	struct pair *pair = list_entry(task, struct pair, task);
	struct side *a = &pair->sides[0], *b = &pair->sides[1];
	int there = half_pump(a, b);
	int back = there < 0 ? there : half_pump(b, a);

	if (there < 0 || back < 0) {
		pair_close(pair);
	} else if (a->out.done && b->out.done) {
		close(a->item.fd);
		close(b->item.fd);
		pair_free(pair);
	} else if (there + back > 0) {
		engine_task(pair->engine, task);
	}
}

static void side_ready(struct poll_item *item, unsigned events)
{
	struct side *side = list_entry(item, struct side, item);

	side->readable |= (events & POLL_READ) != 0;
	side->writable |= (events & POLL_WRITE) != 0;
	engine_task(side->pair->engine, &side->pair->task);
}

static int register_side(struct side *side, struct pair *pair, int fd, bool registered)
{
	int rc;

	side->pair = pair;
	side->item = (struct poll_item){fd, side_ready};
	side->out.pipe[0] = side->out.pipe[1] = -1;
	if (registered)
		return poller_replace(pair->engine->poller, &side->item);
	rc = socket_prepare(fd);
	return rc != 0 ? rc : poller_add(pair->engine->poller, &side->item);
}

struct pair *pair_open(struct engine *engine, int a, bool a_registered, int b, bool b_registered)
{
	struct pair *pair = calloc(1, sizeof *pair);
	int rc;

	if (pair == NULL)
		return NULL;
	pair->engine = engine;
	pair->number = ++engine->numbers;
	pair->task.run = pair_run;
	list_init(&pair->task.node);
	list_append(&engine->relays, &pair->node);
	rc = register_side(&pair->sides[1], pair, b, b_registered);
	if (rc == 0)
		rc = register_side(&pair->sides[0], pair, a, a_registered);
	if (rc != 0) {
		pair_free(pair);
		errno = -rc;
		return NULL;
	}
	engine->counters.relays++;
	return pair;
}
