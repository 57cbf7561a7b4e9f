#include "label.h"

#include <errno.h>
#include <string.h>

#include "dial.h"
#include "real.h"

enum { LABELS_MAX = 256 }; /* of one exec */

#ifdef __linux__
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SO_COOKIE
#define SO_COOKIE 57 /* Linux 4.6 */
#endif
#define BUSY UINT64_MAX /* in place of a cookie, while the address is written */

struct place {
	_Atomic uint64_t cookie; /* 0: free */
	union flow_address target;
};

static struct place *places;
static size_t n_places;

void label_prepare(const char *settings)
{
	char path[PATH_MAX];
	struct stat status;
	void *map;
	int fd;

	if ((size_t)snprintf(path, sizeof path, "%s.labels", settings) >= sizeof path)
		return;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd == -1)
		return;
	if (fstat(fd, &status) == 0 && status.st_size >= (off_t)sizeof *places) {
		map = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (map != MAP_FAILED) {
			places = map;
			n_places = (size_t)status.st_size / sizeof *places;
		}
	}
	real(close)(fd);
}

/* The socket's place and its cookie, or NULL. */
static struct place *place_of(int fd, uint64_t *cookie)
{
	socklen_t len = sizeof *cookie;

	if (places == NULL || real(getsockopt)(fd, SOL_SOCKET, SO_COOKIE, cookie, &len) == -1)
		return NULL;
	return &places[*cookie % n_places];
}

void label(int fd)
{
	struct place *place;
	uint64_t cookie, old;
	struct flow flow;
	int before = errno;

	if (flow_read(fd, &flow) && flow.state == FLOW_UP && !flow.labelled &&
	    (place = place_of(fd, &cookie)) != NULL) {
		old = atomic_load(&place->cookie);
		if (old != BUSY && atomic_compare_exchange_strong(&place->cookie, &old, BUSY)) {
			memcpy(&place->target, &flow.target, sizeof flow.target);
			atomic_store(&place->cookie, cookie);
			if (flow_claim(fd, &flow)) {
				flow.labelled = true;
				flow_release(fd, &flow);
			}
		}
	}
	errno = before;
}

bool label_read(int fd, struct flow *flow)
{
	uint64_t cookie;
	struct place *place = place_of(fd, &cookie);

	if (place == NULL || atomic_load(&place->cookie) != cookie)
		return false;
	memset(flow, 0, sizeof *flow);
	memcpy(&flow->target, &place->target, sizeof flow->target);
	if (atomic_load(&place->cookie) != cookie)
		return false;
	flow->target_len = flow->target.any.sa_family == AF_INET ? sizeof flow->target.v4
								 : sizeof flow->target.v6;
	flow->state = FLOW_UP;
	flow->labelled = true;
	return true;
}
#else
/* Another system does not tell sockets apart: the peer of one from elsewhere is the server. */
void label_prepare(const char *settings)
{
	(void)settings;
}

void label(int fd)
{
	(void)fd;
}

bool label_read(int fd, struct flow *flow)
{
	(void)fd;
	(void)flow;
	return false;
}
#endif

/* The answer of the server is eaten here: the other process does not know of any. */
static void settle(int fd)
{
	while (flow_state(fd) == FLOW_PENDING && flows_ours() && dial_look(fd) == -EALREADY &&
	       dial_settle(fd, true) == -EINTR)
		;
}

void label_passed(const struct msghdr *message)
{
	struct msghdr copy = *message;
	int before = errno;

	for (struct cmsghdr *at = CMSG_FIRSTHDR(&copy); at != NULL; at = CMSG_NXTHDR(&copy, at)) {
		size_t n = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(at) + i * sizeof fd, sizeof fd);
			settle(fd);
			label(fd);
		}
	}
	errno = before;
}

void label_all(void)
{
	int before = errno, left = LABELS_MAX;

	for (int fd = flow_next(0); fd != -1 && left-- > 0; fd = flow_next(fd + 1)) {
		settle(fd);
		label(fd);
	}
	errno = before;
}
