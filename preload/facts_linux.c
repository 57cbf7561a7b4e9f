#include "facts.h"

#ifdef __linux__

#include <sys/socket.h>
#include <sys/stat.h>

#include "real.h"

/* socket(7) */
static int option(int fd, int name)
{
	int value = 0;
	socklen_t len = sizeof value;

	return real(getsockopt)(fd, SOL_SOCKET, name, &value, &len) == -1 ? 0 : value;
}

int facts_family(int fd)
{
	return option(fd, SO_DOMAIN);
}

int facts_protocol(int fd)
{
	return option(fd, SO_PROTOCOL);
}

uint64_t facts_identity(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode) ? status.st_ino : 0;
}

#endif
