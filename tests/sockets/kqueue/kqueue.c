/* kqueue(2) on epoll(7): two filters a descriptor, each with its own udata, EV_ADD and EV_CLEAR.
 *
 * Called by: poller_kqueue.c in the build of test_portable.py.
 * Owns: what was registered, by descriptor: one is in one queue at a time.
 * Never: knows what poller_kqueue.c makes of it; the sources are kqueue(2) of macOS and what xnu
 * does for sockets (bsd/kern/uipc_socket.c, filt_soread, filt_sowrite). */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/event.h>

enum { DESCRIPTORS = 65536, BATCH = 64, SOME_ERROR = EIO };

/* A filter is there with its udata, or not at all. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *udata[DESCRIPTORS][2];

int kqueue(void)
{
	return epoll_create1(EPOLL_CLOEXEC);
}

/* Adding again looks again, as both kernels do.  A number in its next life has no filter yet. */
static int add(int queue, const struct kevent *change)
{
	const int fd = (int)change->ident, writes = change->filter == EVFILT_WRITE;
	struct epoll_event asked = {.events = EPOLLET | (writes ? EPOLLOUT : EPOLLIN | EPOLLRDHUP),
				    .data.fd = fd};

	if (change->ident >= DESCRIPTORS || change->flags != (EV_ADD | EV_CLEAR)) {
		errno = EINVAL;
		return -1;
	}
	if (epoll_ctl(queue, EPOLL_CTL_ADD, fd, &asked) == 0) {
		udata[fd][writes] = change->udata;
		udata[fd][!writes] = NULL;
		return 0;
	}
	if (errno != EEXIST)
		return -1;
	udata[fd][writes] = change->udata;
	if (udata[fd][!writes] != NULL)
		asked.events = EPOLLIN | EPOLLRDHUP | EPOLLOUT | EPOLLET;
	return epoll_ctl(queue, EPOLL_CTL_MOD, fd, &asked);
}

/* xnu tells EV_EOF to a reader when the peer has shut its side, to a writer when nothing can be
 * sent any more; fflags is then the socket's error. */
static int tell(const struct epoll_event *found, struct kevent *out)
{
	const int fd = found->data.fd;
	const uint32_t all = found->events, over = all & (EPOLLHUP | EPOLLERR);
	const uint32_t error = (all & EPOLLERR) != 0 ? SOME_ERROR : 0;
	int n = 0;

	if (udata[fd][0] != NULL && ((all & (EPOLLIN | EPOLLRDHUP)) != 0 || over != 0))
		EV_SET(&out[n++], fd, EVFILT_READ,
		       (all & EPOLLRDHUP) != 0 || over != 0 ? EV_CLEAR | EV_EOF : EV_CLEAR, error, 0,
		       udata[fd][0]);
	if (udata[fd][1] != NULL && ((all & EPOLLOUT) != 0 || over != 0))
		EV_SET(&out[n++], fd, EVFILT_WRITE, over != 0 ? EV_CLEAR | EV_EOF : EV_CLEAR, error,
		       0, udata[fd][1]);
	return n;
}

int kevent(int queue, const struct kevent *changes, int n_changes, struct kevent *events,
	   int n_events, const struct timespec *timeout)
{
	struct epoll_event found[BATCH];
	int ms = timeout == NULL ? -1 : (int)(timeout->tv_sec * 1000 + timeout->tv_nsec / 1000000);
	int n = 0, rc = 0, told = 0;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < n_changes && rc == 0; i++)
		rc = add(queue, &changes[i]);
	pthread_mutex_unlock(&lock);
	if (rc == -1 || n_events < 2)
		return rc;
	n = epoll_wait(queue, found, n_events / 2 < BATCH ? n_events / 2 : BATCH, ms);
	pthread_mutex_lock(&lock);
	for (int i = 0; i < n; i++)
		told += tell(&found[i], events + told);
	pthread_mutex_unlock(&lock);
	return n == -1 ? -1 : told;
}
