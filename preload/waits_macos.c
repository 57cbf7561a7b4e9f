#include "waits.h"

#ifdef __APPLE__

#include <pthread.h>

#include "flows.h"

/* There is no list to keep: kevent(2) is not seen here, so that whoever waits in it is held at the
 * first getsockopt(SO_ERROR), read or write until the answer is there (waits.h). */

void waits_settled(int fd)
{
	(void)fd;
}

void waits_closed(int fd)
{
	(void)fd;
}

void waits_prepare(void)
{
	(void)pthread_atfork(NULL, NULL, flows_adopt);
}

#endif
