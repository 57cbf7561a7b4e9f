#include "facts.h"

#ifdef __APPLE__

#include <libproc.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* libproc.h, sys/proc_info.h: of one's own process nobody may be kept from asking. */
static bool ask(int fd, struct socket_info *out)
{
	struct socket_fdinfo info;

	memset(&info, 0, sizeof info);
	if (proc_pidfdinfo(getpid(), fd, PROC_PIDFDSOCKETINFO, &info, sizeof info) <
	    (int)sizeof info)
		return false;
	*out = info.psi;
	return true;
}

int facts_family(int fd)
{
	struct socket_info info;

	return ask(fd, &info) ? info.soi_family : AF_UNSPEC;
}

int facts_protocol(int fd)
{
	struct socket_info info;

	return ask(fd, &info) ? info.soi_protocol : 0;
}

/* fstat(2) has no inode for a socket here.  Its place in the kernel is used again, but not with the
 * same count of the sockets that there have been (of TCP and of UDP, at the same place). */
uint64_t facts_identity(int fd)
{
	struct socket_info info;
	uint64_t count = 0;

	if (!ask(fd, &info))
		return 0;
	if (info.soi_kind == SOCKINFO_TCP)
		count = info.soi_proto.pri_tcp.tcpsi_ini.insi_gencnt;
	else if (info.soi_kind == SOCKINFO_IN)
		count = info.soi_proto.pri_in.insi_gencnt;
	return (info.soi_so ^ count << 48 ^ count) | 1;
}

#endif
