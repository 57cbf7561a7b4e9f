#include "resolver.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "loop.h"

enum {
	THREADS_MAX = 32,	/* lookups at once; each waits for a server most of its time */
	STACK_BYTES = 256 * 1024, /* glibc's getaddrinfo uses alloca of a few KiB */
};

struct resolver {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct engine *engine; /* NULL: closed */
	struct list queue, finished;
	int n_threads, n_idle, n_queued;
};

struct resolver *resolver_open(struct engine *engine)
{
	struct resolver *resolver = calloc(1, sizeof *resolver);

	if (resolver == NULL)
		return NULL;
	pthread_mutex_init(&resolver->lock, NULL);
	pthread_cond_init(&resolver->work, NULL);
	list_init(&resolver->queue);
	list_init(&resolver->finished);
	resolver->engine = engine;
	return resolver;
}

static void forward(struct lookup *lookup)
{
	/* ADDRCONFIG: do not offer IPv6 addresses that this pod has no way to reach. */
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *found = NULL;

	lookup->status = getaddrinfo(lookup->name, NULL, &hints, &found);
	if (lookup->status != 0)
		return;
	for (struct addrinfo *a = found; a != NULL && lookup->n_addresses < ADDRESSES_MAX; a = a->ai_next)
		if (a->ai_addrlen <= sizeof(union address))
			memcpy(&lookup->addresses[lookup->n_addresses++], a->ai_addr, a->ai_addrlen);
	freeaddrinfo(found);
}

static void reverse(struct lookup *lookup)
{
	union address *addr = &lookup->addresses[0];
	socklen_t len = addr->any.sa_family == AF_INET ? sizeof addr->v4 : sizeof addr->v6;

	lookup->status = getnameinfo(&addr->any, len, lookup->name, sizeof lookup->name, NULL, 0,
				     NI_NAMEREQD);
}

static void drain(struct list *list)
{
	struct list *node;

	while ((node = list_shift(list)) != NULL)
		free(list_entry(node, struct lookup, node));
}

/* The last one out frees the resolver: a thread may be inside getaddrinfo() when it is closed. */
static void leave(struct resolver *resolver)
{
	bool last = resolver->n_threads == 0 && resolver->engine == NULL;

	pthread_mutex_unlock(&resolver->lock);
	if (!last)
		return;
	drain(&resolver->queue);
	drain(&resolver->finished);
	pthread_cond_destroy(&resolver->work);
	pthread_mutex_destroy(&resolver->lock);
	free(resolver);
}

static void *work(void *argument)
{
	struct resolver *resolver = argument;

	pthread_mutex_lock(&resolver->lock);
	while (resolver->engine != NULL) {
		struct list *node = list_shift(&resolver->queue);
		struct lookup *lookup;

		if (node == NULL) {
			resolver->n_idle++;
			pthread_cond_wait(&resolver->work, &resolver->lock);
			resolver->n_idle--;
			continue;
		}
		resolver->n_queued--;
		pthread_mutex_unlock(&resolver->lock);
		lookup = list_entry(node, struct lookup, node);
		if (lookup->reverse)
			reverse(lookup);
		else
			forward(lookup);
		pthread_mutex_lock(&resolver->lock);
		list_append(&resolver->finished, &lookup->node);
		if (resolver->engine != NULL)
			engine_wake(resolver->engine);
	}
	resolver->n_threads--;
	leave(resolver);
	return NULL;
}

static int add_thread(struct resolver *resolver)
{
	pthread_attr_t attr;
	pthread_t thread;
	sigset_t all, before;
	int rc;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&thread, &attr, work, resolver);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (rc == 0)
		resolver->n_threads++;
	return -rc;
}

struct lookup *lookup_new(void *owner, void (*done)(struct lookup *lookup))
{
	struct lookup *lookup = calloc(1, sizeof *lookup);

	if (lookup != NULL) {
		lookup->owner = owner;
		lookup->done = done;
	}
	return lookup;
}

int resolver_start(struct resolver *resolver, struct lookup *lookup)
{
	int rc = 0;

	pthread_mutex_lock(&resolver->lock);
	if (resolver->n_queued >= resolver->n_idle && resolver->n_threads < THREADS_MAX)
		rc = add_thread(resolver);
	if (resolver->n_threads > 0) {
		rc = 0;
		list_append(&resolver->queue, &lookup->node);
		resolver->n_queued++;
		pthread_cond_signal(&resolver->work);
	}
	pthread_mutex_unlock(&resolver->lock);
	if (rc != 0)
		free(lookup);
	else
		resolver->engine->counters.lookups++;
	return rc;
}

void resolver_deliver(struct resolver *resolver)
{
	struct list *node;

	for (;;) {
		struct lookup *lookup;

		pthread_mutex_lock(&resolver->lock);
		node = list_shift(&resolver->finished);
		pthread_mutex_unlock(&resolver->lock);
		if (node == NULL)
			return;
		lookup = list_entry(node, struct lookup, node);
		if (lookup->done != NULL)
			lookup->done(lookup);
		free(lookup);
	}
}

void resolver_close(struct resolver *resolver)
{
	pthread_mutex_lock(&resolver->lock);
	resolver->engine = NULL;
	pthread_cond_broadcast(&resolver->work);
	leave(resolver);
}
