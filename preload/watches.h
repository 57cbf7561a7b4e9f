/* Sockets in a program's epoll set or kqueue that wait there for another event than was asked.
 *
 * Called by: wait_epoll.c, wait_kqueue.c.
 * Owns: the list, its lock, and what fork(2) does to both.  Never: talks to the kernel's set. */
#ifndef TELEPRESENCE_PRELOAD_WATCHES_H
#define TELEPRESENCE_PRELOAD_WATCHES_H

#include <signal.h>
#include <stdint.h>

struct watch {
	int set, fd;
	uint32_t asked; /* the events or flags, and the data, that the program wants back */
	uint64_t data;
};

/* How many there are; zero lets every other call pass at once. */
extern _Atomic int watches_held;

/* Signals are blocked in between: a handler that reads or writes may come here too. */
void watches_enter(sigset_t *before);
void watches_leave(const sigset_t *before);

/* All of these only in between.  NULL: there is none. */
struct watch *watches_find(int set, int fd);
/* In any set. */
struct watch *watches_of(int fd);
/* The first from number `from` on that is in the set. */
struct watch *watches_in(int set, int *from);
/* The one that there is, or a new one; NULL: no room. */
struct watch *watches_make(int set, int fd);
void watches_forget(struct watch *watch);

/* Not in between: forgets the fd in every set, where `give_back`, if any, first does what was asked. */
void watches_release(int fd, void (*give_back)(const struct watch *watch));

#endif
