/* libc's own functions behind the names that the shim exports.
 *
 * Called by: every file of the shim; inside it the bare names would come back to the shim.
 * Owns: the table of addresses, filled at load or at first use.  Never: calls them. */
#ifndef TELEPRESENCE_PRELOAD_REAL_H
#define TELEPRESENCE_PRELOAD_REAL_H

#define REAL_NAMES(X)                                                                              \
	X(connect) X(getpeername) X(getsockopt) X(close) X(dup) X(dup2) X(dup3) X(fcntl)           \
	X(fcntl64) X(getaddrinfo) X(gethostbyname) X(gethostbyname2) X(gethostbyname_r)            \
	X(gethostbyname2_r) X(poll) X(ppoll) X(select) X(pselect) X(epoll_ctl) X(epoll_wait)       \
	X(epoll_pwait) X(read) X(readv) X(recv) X(recvfrom) X(recvmsg) X(write)    \
	X(writev) X(send) X(sendto) X(sendmsg) X(__read_chk) X(__recv_chk) X(__recvfrom_chk)       \
	X(__poll_chk) X(__ppoll_chk)

enum real_name {
#define REAL_ENUM(name) REAL_##name,
	REAL_NAMES(REAL_ENUM)
#undef REAL_ENUM
	REAL_COUNT
};

/* The next definition after the shim's in the order of loading: libc's, or another preload's. */
void *real_find(enum real_name name);

/* The prototype is the one of the system's header. */
#define real(name) ((__typeof__(&(name)))real_find(REAL_##name))

#endif
