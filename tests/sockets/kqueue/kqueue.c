/* kqueue(2) on epoll(7): filters of a descriptor, each with its own udata and flags.
 *
 * Called by: poller_kqueue.c in the build of test_portable.py; the programs of
 * tests/preload/test_kqueue.py.
 * Owns: what was registered, by descriptor: one is in one queue at a time.
 * Never: knows what is made of it; the sources are kqueue(2) of macOS and what xnu does
 * (bsd/kern/kern_event.c; for sockets bsd/kern/uipc_socket.c, filt_soread, filt_sowrite). */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/event.h>

enum { DESCRIPTORS = 65536, BATCH = 64, SOME_ERROR = EIO };
enum { READS, WRITES, OWN_READS, FILTERS }; /* OWN_READS: of EV_UDATA_SPECIFIC */
enum { PLAIN = 1, WIDE = 2 };		    /* by which of the two calls a queue is used */

struct filter {
	bool there, disabled;
	uint16_t flags;
	void *udata;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct filter filters[DESCRIPTORS][FILTERS];
static char calls[DESCRIPTORS];

int kqueue(void)
{
	int queue = epoll_create1(EPOLL_CLOEXEC);

	if (queue != -1)
		calls[queue] = 0;
	return queue;
}

/* Edge-triggered (EV_CLEAR) only if all are; being asked again, the kernel looks again. */
static int ask(int queue, int fd)
{
	struct epoll_event asked = {.events = EPOLLET, .data.fd = fd};

	for (int i = 0; i < FILTERS; i++) {
		const struct filter *one = &filters[fd][i];

		if (!one->there || one->disabled)
			continue;
		asked.events |= i == WRITES ? EPOLLOUT : EPOLLIN | EPOLLRDHUP;
		if ((one->flags & EV_CLEAR) == 0)
			asked.events &= ~(uint32_t)EPOLLET;
	}
	return epoll_ctl(queue, EPOLL_CTL_MOD, fd, &asked) == -1 ? errno : 0;
}

/* 0 or an errno.  A number in its next life has no filter yet. */
static int apply(int queue, const struct kevent *change)
{
	const int fd = (int)change->ident;
	const bool own = (change->flags & EV_UDATA_SPECIFIC) != 0;
	struct epoll_event nothing = {.events = EPOLLET, .data.fd = fd};
	struct filter *one;

	if (change->ident >= DESCRIPTORS || (own && change->filter != EVFILT_READ))
		return EINVAL;
	if (epoll_ctl(queue, EPOLL_CTL_ADD, fd, &nothing) == 0)
		memset(filters[fd], 0, sizeof filters[fd]);
	else if (errno != EEXIST)
		return errno;
	one = &filters[fd][own ? OWN_READS : change->filter == EVFILT_WRITE ? WRITES : READS];
	if (!one->there && (change->flags & EV_ADD) == 0)
		return ENOENT;
	if (!one->there || (own && one->udata != change->udata))
		*one = (struct filter){.there = true, .flags = change->flags};
	one->udata = change->udata;
	if ((change->flags & (EV_ADD | EV_ENABLE)) != 0)
		one->disabled = false;
	if ((change->flags & EV_DISABLE) != 0)
		one->disabled = true;
	if ((change->flags & EV_DELETE) != 0)
		one->there = false;
	return ask(queue, fd);
}

/* xnu tells EV_EOF to a reader when the peer has shut its side, to a writer when nothing can be
 * sent any more; fflags is then the socket's error. */
static bool holds(int i, uint32_t all, uint16_t *eof)
{
	const uint32_t over = all & (EPOLLHUP | EPOLLERR | (i == WRITES ? 0U : EPOLLRDHUP));

	*eof = over != 0 ? EV_EOF : 0;
	return over != 0 || (all & (i == WRITES ? EPOLLOUT : EPOLLIN)) != 0;
}

static int tell(int queue, const struct epoll_event *found, struct kevent *out, int room)
{
	const int fd = found->data.fd;
	bool again = false;
	int n = 0;

	for (int i = 0; i < FILTERS; i++) {
		struct filter *one = &filters[fd][i];
		uint16_t eof;

		if (!one->there || one->disabled || !holds(i, found->events, &eof))
			continue;
		again = again || n == room || (one->flags & (EV_ONESHOT | EV_DISPATCH)) != 0;
		if (n == room)
			break;
		EV_SET(&out[n++], fd, i == WRITES ? EVFILT_WRITE : EVFILT_READ,
		       (one->flags & ~(EV_ADD | EV_ENABLE | EV_DISABLE | EV_RECEIPT)) | eof,
		       (found->events & EPOLLERR) != 0 ? SOME_ERROR : 0, 0, one->udata);
		one->there = (one->flags & EV_ONESHOT) == 0;
		one->disabled = (one->flags & EV_DISPATCH) != 0;
	}
	if (again)
		(void)ask(queue, fd);
	return n;
}

static int wait_for(int queue, struct kevent *events, int room, const struct timespec *timeout)
{
	int ms = timeout == NULL ? -1 : (int)(timeout->tv_sec * 1000 + timeout->tv_nsec / 1000000);
	struct epoll_event found[BATCH];
	int n, told = 0;

	do {
		n = epoll_wait(queue, found, room < BATCH ? room : BATCH, ms);
		pthread_mutex_lock(&lock);
		for (int i = 0; i < n; i++)
			if (told < room)
				told += tell(queue, &found[i], events + told, room - told);
			else
				(void)ask(queue, found[i].data.fd);
		pthread_mutex_unlock(&lock);
	} while (n > 0 && told == 0); /* of filters that are gone */
	return n == -1 ? -1 : told;
}

static int serve(int queue, const struct kevent *changes, int n_changes, struct kevent *events,
		 int room, const struct timespec *timeout, char call)
{
	int told = 0, error = 0;

	pthread_mutex_lock(&lock);
	if (calls[queue] == 0)
		calls[queue] = call;
	if (calls[queue] != call)
		error = EINVAL;
	for (int i = 0; i < n_changes && error == 0; i++) {
		error = apply(queue, &changes[i]);
		if (told < room && (error != 0 || (changes[i].flags & EV_RECEIPT) != 0)) {
			events[told] = changes[i];
			events[told].flags |= EV_ERROR;
			events[told++].data = error;
			error = 0;
		}
	}
	pthread_mutex_unlock(&lock);
	if (error != 0) {
		errno = error;
		return -1;
	}
	return told > 0 || room == 0 ? told : wait_for(queue, events, room, timeout);
}

int kevent(int queue, const struct kevent *changes, int n_changes, struct kevent *events, int room,
	   const struct timespec *timeout)
{
	return serve(queue, changes, n_changes, events, room, timeout, PLAIN);
}

int kevent64(int queue, const struct kevent64_s *changes, int n_changes,
	     struct kevent64_s *events, int room, unsigned flags, const struct timespec *timeout)
{
	struct kevent asked[BATCH], told[BATCH];
	int n;

	if (n_changes > BATCH || flags != 0) {
		errno = EINVAL;
		return -1;
	}
	for (int i = 0; i < n_changes; i++)
		EV_SET(&asked[i], changes[i].ident, changes[i].filter, changes[i].flags,
		       changes[i].fflags, changes[i].data, (void *)(uintptr_t)changes[i].udata);
	n = serve(queue, asked, n_changes, told, room < BATCH ? room : BATCH, timeout, WIDE);
	for (int i = 0; i < n; i++)
		events[i] = (struct kevent64_s){.ident = told[i].ident,
						.filter = told[i].filter,
						.flags = told[i].flags,
						.fflags = told[i].fflags,
						.data = told[i].data,
						.udata = (uintptr_t)told[i].udata};
	return n;
}
