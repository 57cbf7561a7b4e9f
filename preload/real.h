/* libc's own functions behind the names that the shim exports.
 *
 * Called by: every file of the shim; inside it the bare names would come back to the shim.
 * Owns: the table of addresses, filled at load or at first use.  Never: calls them. */
#ifndef TELEPRESENCE_PRELOAD_REAL_H
#define TELEPRESENCE_PRELOAD_REAL_H

#ifdef __APPLE__
/* What the table of replacements (export.h) says does not hold for the shim's own calls. */
#define real(name) name
#else

#define REAL_NAMES(X) \
	X(__poll_chk) X(__ppoll_chk) X(__read_chk) X(__recv_chk) X(__recvfrom_chk) \
	X(close) X(close_range) X(closefrom) X(connect) X(dup) X(dup2) X(dup3) \
	X(epoll_ctl) X(epoll_pwait) X(epoll_pwait2) X(epoll_wait) X(execve) X(execveat) \
	X(execvpe) X(fclose) X(fcntl) X(fcntl64) X(fexecve) X(getaddrinfo) \
	X(gethostbyaddr) X(gethostbyaddr_r) X(gethostbyname) X(gethostbyname2) \
	X(gethostbyname2_r) X(gethostbyname_r) X(getnameinfo) X(getpeername) \
	X(getsockname) X(getsockopt) X(kevent) X(kevent64) X(listen) X(poll) X(posix_spawn) X(posix_spawnp) X(ppoll) \
	X(pselect) X(read) X(readv) X(recv) X(recvfrom) X(recvmmsg) X(recvmsg) \
	X(res_nmkquery) X(select) X(send) X(sendmmsg) X(sendmsg) X(sendto) X(syscall) \
	X(write) X(writev)

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

#endif
