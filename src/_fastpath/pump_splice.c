#include "platform.h"
#include "pump.h"

#if PLATFORM_LINUX

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "loop.h"

enum { PIPE_BYTES = 256 * 1024 }; /* four times the default; unprivileged users may (pipe(7)) */

void pump_init(struct pump *pump)
{
	*pump = (struct pump){.pipe = {-1, -1}};
}

static int borrow(struct pump *pump, struct pipes *pipes)
{
	if (pipes->count > 0) {
		memcpy(pump->pipe, pipes->ends[--pipes->count], sizeof pump->pipe);
		return 0;
	}
	if (pipe2(pump->pipe, O_NONBLOCK | O_CLOEXEC) == -1)
		return -errno;
	(void)fcntl(pump->pipe[1], F_SETPIPE_SZ, PIPE_BYTES);
	return 0;
}

/* A pipe with bytes in it cannot be used by another. */
void pump_rest(struct pump *pump, struct engine *engine)
{
	struct pipes *pipes = &engine->pipes;

	if (pump->pipe[0] == -1)
		return;
	if (pump->held == 0 && pipes->count < PIPES_KEEP) {
		memcpy(pipes->ends[pipes->count++], pump->pipe, sizeof pump->pipe);
	} else {
		close(pump->pipe[0]);
		close(pump->pipe[1]);
	}
	pump->pipe[0] = pump->pipe[1] = -1;
	pump->held = 0;
}

void pumps_clear(struct engine *engine)
{
	while (engine->pipes.count > 0) {
		int *ends = engine->pipes.ends[--engine->pipes.count];

		close(ends[0]);
		close(ends[1]);
	}
}

ssize_t pump_fill(struct pump *pump, struct engine *engine, int from)
{
	ssize_t n;

	if (pump->pipe[0] == -1) {
		int rc = borrow(pump, &engine->pipes);

		if (rc != 0)
			return rc;
	}
	/* The pipe is empty, so EAGAIN can only mean the socket. */
	n = splice(from, NULL, pump->pipe[1], NULL, PIPE_BYTES, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
	if (n == -1)
		return -errno;
	pump->held = (size_t)n;
	return n;
}

ssize_t pump_drain(struct pump *pump, int to)
{
	ssize_t n = splice(pump->pipe[0], NULL, to, NULL, pump->held,
			   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

	if (n == -1)
		return -errno;
	pump->held -= (size_t)n;
	return n;
}

#endif
