#include "bell.h"
#include "platform.h"

#if PLATFORM_LINUX

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int bell_open(struct bell *bell)
{
	bell->fd = bell->rope = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return bell->fd == -1 ? -errno : 0;
}

void bell_ring(const struct bell *bell)
{
	uint64_t one = 1;

	(void)!write(bell->rope, &one, sizeof one);
}

void bell_still(const struct bell *bell)
{
	uint64_t count;

	(void)!read(bell->fd, &count, sizeof count);
}

void bell_close(struct bell *bell)
{
	if (bell->fd != -1)
		close(bell->fd);
	bell->fd = bell->rope = -1;
}

#endif
