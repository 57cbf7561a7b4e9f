#include "log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "exchange.h"
#include "home.h"
#include "platform.h"
#include "real.h"

enum { LEVEL_ERROR = 2, LEVEL_WARNING, LEVEL_NOTICE, LEVEL_DEBUG };

static int level = LEVEL_WARNING;
static char path[4096];

void log_prepare(void)
{
	const char *wanted = getenv("TORSOCKS_LOG_LEVEL"), *file = getenv("TORSOCKS_LOG_FILE_PATH");

	if (wanted != NULL && wanted[0] >= '1' && wanted[0] <= '5' && wanted[1] == '\0')
		level = wanted[0] - '0';
	if (file != NULL && strlen(file) < sizeof path)
		strcpy(path, file);
}

__attribute__((format(printf, 1, 2))) static void line(const char *format, ...)
{
	char text[512];
	struct timespec now;
	va_list list;
	int fd, n;

	clock_gettime(CLOCK_REALTIME, &now);
	n = snprintf(text, sizeof text, "%lld.%03ld telepresence-preload[%d]: ",
		     (long long)now.tv_sec, now.tv_nsec / 1000000, (int)getpid());
	va_start(list, format);
	n += vsnprintf(text + n, sizeof text - (size_t)n - 1, format, list);
	va_end(list);
	if ((size_t)n > sizeof text - 2)
		n = sizeof text - 2;
	text[n++] = '\n';
	fd = exchange_aside(open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600),
			    3);
	if (fd == -1)
		return;
	(void)!real(write)(fd, text, (size_t)n);
	real(close)(fd);
}

void log_closed(const char *file, int number)
{
	if (level < LEVEL_ERROR || path[0] == '\0')
		return;
	if (file == NULL)
		line("TORSOCKS_CONF_FILE is not set: nothing can be reached");
	else if (number == 0)
		line("%s cannot be read: nothing can be reached", file);
	else
		line("%s: line %d is missing or wrong: nothing can be reached", file, number);
}

void log_connect(int kind, const struct sockaddr *to, int rc)
{
	char text[INET6_ADDRSTRLEN] = "?", why[128];
	struct socks5_addr addr;
	int before = errno;

	if (path[0] == '\0' || level < (rc == 0 || rc == -EINPROGRESS ? LEVEL_DEBUG : LEVEL_NOTICE))
		return;
	home_addr(to, &addr);
	(void)inet_ntop(addr.atyp == SOCKS5_IPV4 ? AF_INET : AF_INET6, addr.host, text, sizeof text);
	line("%s to %s port %d: %s", kind == SOCK_STREAM ? "TCP" : "UDP", text, addr.port,
	     rc == 0		      ? "connected"
	     : rc == -EINPROGRESS ? "under way"
				  : platform_error(-rc, why, sizeof why));
	errno = before;
}
