#include "platform.h"
#include "pump.h"

#if !PLATFORM_LINUX

#include <errno.h>
#include <sys/socket.h>

#include "loop.h"

void pump_init(struct pump *pump)
{
	*pump = (struct pump){.pipe = {-1, -1}};
}

void pump_rest(struct pump *pump, struct engine *engine)
{
	if (pump->block != NULL)
		pool_give(&engine->pool, pump->block);
	pump->block = NULL;
	pump->held = 0;
}

void pumps_clear(struct engine *engine)
{
	(void)engine; /* the pool goes with the engine */
}

ssize_t pump_fill(struct pump *pump, struct engine *engine, int from)
{
	ssize_t n;

	if (pump->block == NULL)
		pump->block = pool_take(&engine->pool, 0);
	if (pump->block == NULL)
		return -ENOMEM;
	n = recv(from, pump->block->data, BLOCK_BYTES, MSG_DONTWAIT);
	if (n == -1)
		return -errno;
	pump->held = (size_t)n;
	pump->block->start = 0;
	return n;
}

ssize_t pump_drain(struct pump *pump, int to)
{
	ssize_t n = send(to, pump->block->data + pump->block->start, pump->held,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n == -1)
		return -errno;
	pump->held -= (size_t)n;
	pump->block->start += (uint32_t)n;
	return n;
}

#endif
