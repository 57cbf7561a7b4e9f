#include "bell.h"
#include "platform.h"

#if !PLATFORM_LINUX

#include <stdint.h>
#include <unistd.h>

#include "sockets.h"

int bell_open(struct bell *bell)
{
	int ends[2], rc = socket_pair(ends);

	bell->fd = rc == 0 ? ends[0] : -1;
	bell->rope = rc == 0 ? ends[1] : -1;
	return rc;
}

/* A full buffer is a bell that is heard already. */
void bell_ring(const struct bell *bell)
{
	(void)!write(bell->rope, "!", 1);
}

void bell_still(const struct bell *bell)
{
	uint8_t rings[256];

	while (read(bell->fd, rings, sizeof rings) > 0)
		;
}

void bell_close(struct bell *bell)
{
	if (bell->fd != -1) {
		close(bell->fd);
		close(bell->rope);
	}
	bell->fd = bell->rope = -1;
}

#endif
