#include "watches.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "flows.h"
#include "waits.h"

/* More pending sockets at a time than this wait the slow way. */
enum { WATCHES = 512, FREE = -1 };

static struct watch watches[WATCHES];
static int top; /* all from here on are free */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
_Atomic int watches_held;

void watches_enter(sigset_t *before)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, before);
	pthread_mutex_lock(&lock);
}

void watches_leave(const sigset_t *before)
{
	pthread_mutex_unlock(&lock);
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

static sigset_t before_forking; /* whose thread has the lock */

/* Signals stay blocked as well: one of this thread's, meanwhile, would wait for itself. */
static void before_fork(void)
{
	sigset_t before;

	watches_enter(&before);
	before_forking = before;
}

static void after_fork(void)
{
	const sigset_t before = before_forking;

	watches_leave(&before);
}

static void in_child(void)
{
	flows_adopt();
	after_fork();
}

void waits_prepare(void)
{
	(void)pthread_atfork(before_fork, after_fork, in_child);
}

struct watch *watches_find(int set, int fd)
{
	for (int i = 0; i < top && fd != FREE; i++)
		if (watches[i].fd == fd && watches[i].set == set)
			return &watches[i];
	return NULL;
}

struct watch *watches_of(int fd)
{
	for (int i = 0; i < top; i++)
		if (watches[i].fd == fd)
			return &watches[i];
	return NULL;
}

struct watch *watches_in(int set, int *from)
{
	while (*from < top) {
		struct watch *watch = &watches[(*from)++];

		if (watch->fd != FREE && watch->set == set)
			return watch;
	}
	return NULL;
}

struct watch *watches_make(int set, int fd)
{
	struct watch *watch = watches_find(set, fd);

	if (watch != NULL)
		return watch;
	watch = watches_of(FREE);
	if (watch == NULL && top < WATCHES)
		watch = &watches[top++];
	if (watch != NULL) {
		*watch = (struct watch){.set = set, .fd = fd};
		atomic_fetch_add(&watches_held, 1);
	}
	return watch;
}

void watches_forget(struct watch *watch)
{
	watch->fd = FREE;
	atomic_fetch_sub(&watches_held, 1);
	while (top > 0 && watches[top - 1].fd == FREE)
		top--;
}

void watches_release(int fd, void (*give_back)(const struct watch *watch))
{
	struct watch *watch;
	sigset_t before;

	if (atomic_load(&watches_held) == 0 || !flows_ours())
		return;
	watches_enter(&before);
	while ((watch = watches_of(fd)) != NULL) {
		if (give_back != NULL)
			give_back(watch);
		watches_forget(watch);
	}
	watches_leave(&before);
}

void waits_closed(int fd)
{
	watches_release(fd, NULL);
}
