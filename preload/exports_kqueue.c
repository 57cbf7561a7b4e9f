/* macOS's kqueue(2).  One line each; what they do is in wait_kqueue.c.
 *
 * Called by: the program and its libraries, through dyld's table (export.h).
 * Owns: nothing.  Never: decides. */
#include <sys/event.h>

#include "export.h"
#include "waits.h"

EXPORT(int, kevent)(int queue, const struct kevent *changes, int n_changes, struct kevent *events,
		    int room, const struct timespec *timeout)
{
	return wait_kevent(queue, changes, n_changes, events, room, timeout);
}

EXPORT(int, kevent64)(int queue, const struct kevent64_s *changes, int n_changes,
		      struct kevent64_s *events, int room, unsigned flags,
		      const struct timespec *timeout)
{
	return wait_kevent64(queue, changes, n_changes, events, room, flags, timeout);
}
