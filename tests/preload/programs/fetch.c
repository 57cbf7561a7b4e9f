/* HTTP by hand, with libc's own resolver.   fetch HOST PORT */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *to;
	char got[4096];
	ssize_t n;
	int fd, rc = argc == 3 ? getaddrinfo(argv[1], argv[2], &hints, &to) : EAI_FAIL;

	if (rc != 0) {
		printf("%s\n", gai_strerror(rc));
		return 2;
	}
	fd = socket(to->ai_family, SOCK_STREAM, 0);
	if (connect(fd, to->ai_addr, to->ai_addrlen) == -1) {
		printf("%s\n", strerror(errno));
		return 1;
	}
	if (write(fd, request, sizeof request - 1) == -1)
		return 1;
	while ((n = read(fd, got, sizeof got)) > 0)
		fwrite(got, 1, (size_t)n, stdout);
	freeaddrinfo(to);
	return 0;
}
