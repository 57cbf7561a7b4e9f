#include "epoll_list.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "real.h"

/* The number behind `key` in a line.  By hand: newer C libraries give strtoull() a new version. */
static bool take_number(const char *line, const char *key, unsigned base, uint64_t *out)
{
	const char *at = strstr(line, key);
	bool any = false;

	if (at == NULL)
		return false;
	at += strlen(key);
	while (*at == ' ' || *at == '\t')
		at++;
	for (*out = 0;; at++, any = true) {
		unsigned digit = *at >= '0' && *at <= '9'   ? (unsigned)(*at - '0')
				 : *at >= 'a' && *at <= 'f' ? (unsigned)(*at - 'a' + 10)
							    : 16;
		if (digit >= base)
			return any;
		*out = *out * base + digit;
	}
}

static void take_line(const char *line, void (*found)(void *, int, struct epoll_event),
		      void *state)
{
	uint64_t fd, events, data;

	if (take_number(line, "tfd:", 10, &fd) && take_number(line, "events:", 16, &events) &&
	    take_number(line, "data:", 16, &data))
		found(state, (int)fd,
		      (struct epoll_event){.events = (uint32_t)events, .data.u64 = data});
}

void epoll_list(int epfd, void (*found)(void *state, int fd, struct epoll_event asked), void *state)
{
	char path[40], text[4096];
	size_t have = 0;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", epfd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return;
	while (have < sizeof text - 1 &&
	       (n = real(read)(fd, text + have, sizeof text - 1 - have)) > 0) {
		char *line = text, *end;

		have += (size_t)n;
		text[have] = '\0';
		while ((end = strchr(line, '\n')) != NULL) {
			*end = '\0';
			take_line(line, found, state);
			line = end + 1;
		}
		have -= (size_t)(line - text);
		memmove(text, line, have);
	}
	real(close)(fd);
}
