/* Waiting for descriptors of which some are not yet what the program believes them to be.
 *
 * Called by: exports*.c; dial.c tells when a connect is over.
 * Owns: nothing; watches.h has what is kept for later.
 * Never: makes a call longer than its timeout.
 *
 * The kernel calls a pending socket writable, as it is connected to the SOCKS server.  So where a
 * program waits for it, the shim waits for the server's answer (readable) and eats that; only then
 * does the program's own question go to the kernel.  Sockets that were put into an epoll set
 * unseen (io_uring, as libuv does; or before their connect) are found when they first seem
 * writable, and so are all in a kqueue, whose events name the socket.  A program whose waiting itself is not seen here (io_uring, raw system calls) waits in
 * its first getsockopt(SO_ERROR), read or write instead: slower for its other sockets, as
 * correct. */
#ifndef TELEPRESENCE_PRELOAD_WAITS_H
#define TELEPRESENCE_PRELOAD_WAITS_H

#include <poll.h>
#include <signal.h>
#include <sys/select.h>
#include <time.h>

#ifdef __linux__
#include <sys/epoll.h>

/* wait_epoll.c */
int wait_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
int wait_epoll(int epfd, struct epoll_event *events, int room, int timeout_ms,
	       const sigset_t *mask);
#endif

/* wait_kqueue.c */
struct kevent;
struct kevent64_s;
int wait_kevent(int queue, const struct kevent *changes, int n_changes, struct kevent *events,
		int room, const struct timespec *timeout);
int wait_kevent64(int queue, const struct kevent64_s *changes, int n_changes,
		  struct kevent64_s *events, int room, unsigned flags,
		  const struct timespec *timeout);

int wait_poll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask);
int wait_select(int n, fd_set *readable, fd_set *writable, fd_set *except,
		const struct timespec *timeout, const sigset_t *mask);

/* The connect of fd is over: events are again as asked. */
void waits_settled(int fd);
/* fd is about to be closed. */
void waits_closed(int fd);
/* At load. */
void waits_prepare(void);

#endif
