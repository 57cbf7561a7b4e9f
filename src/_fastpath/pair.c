#include "pair.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOVES_A_TURN = 8 };

static void pair_free(struct pair *pair)
{
	for (int i = 0; i < 2; i++) {
		pump_rest(&pair->sides[i].out.pump, pair->engine);
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
	ssize_t n = pump_fill(&from->out.pump, from->pair->engine, from->item.fd);

	if (n == 0)
		from->out.ended = true;
	else if (n == -EAGAIN)
		from->readable = false;
	else if (n < 0 && n != -EINTR)
		return (int)n;
	return 0;
}

static int half_drain(struct half *half, struct side *to)
{
	ssize_t n = pump_drain(&half->pump, to->item.fd);

	if (n == -EAGAIN)
		to->writable = false;
	else if (n < 0 && n != -EINTR)
		return (int)n;
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
		if (half->pump.held == 0 && from->readable && !half->ended)
			rc = half_fill(from);
		if (rc == 0 && half->pump.held > 0 && to->writable)
			rc = half_drain(half, to);
		if (rc != 0)
			return rc;
		if (half->pump.held > 0 && !to->writable)
			return 0;
		if (half->pump.held == 0 && half->ended) {
			half->done = true;
			pump_rest(&half->pump, from->pair->engine);
			(void)shutdown(to->item.fd, SHUT_WR);
			return 0;
		}
		if (half->pump.held == 0 && !from->readable) {
			pump_rest(&half->pump, from->pair->engine);
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
	for (int i = 0; i < 2; i++)
		pump_init(&pair->sides[i].out.pump);
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
