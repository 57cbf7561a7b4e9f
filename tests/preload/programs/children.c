/* Every exec of libc, and calls that go past the usual ones.
 *   children EXEC FILE -c SCRIPT        children raw|fclose HOST PORT */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

static struct sockaddr_in target = {.sin_family = AF_INET};

static int start(const char *how, char **argv)
{
	char *const none[] = {NULL};

	clearenv();
	if (strcmp(how, "execl") == 0)
		return execl(argv[0], argv[0], argv[1], argv[2], (char *)NULL);
	if (strcmp(how, "execlp") == 0)
		return execlp(argv[0], argv[0], argv[1], argv[2], (char *)NULL);
	if (strcmp(how, "execle") == 0)
		return execle(argv[0], argv[0], argv[1], argv[2], (char *)NULL, none);
	if (strcmp(how, "execvpe") == 0)
		return execvpe(argv[0], argv, none);
	if (strcmp(how, "execveat") == 0)
		return execveat(AT_FDCWD, argv[0], argv, none, 0);
	if (strcmp(how, "syscall") == 0)
		return (int)syscall(SYS_execve, argv[0], argv, none);
	return -1;
}

static void say_peer(long fd)
{
	struct sockaddr_in peer;
	socklen_t len = sizeof peer;
	char text[INET_ADDRSTRLEN];

	if (syscall(SYS_getpeername, fd, &peer, &len) == -1)
		printf("peer %s\n", strerrorname_np(errno));
	else
		printf("peer %s\n", inet_ntop(AF_INET, &peer.sin_addr, text, sizeof text));
}

static int raw(void)
{
	long fd = socket(AF_INET, SOCK_STREAM, 0), n;
	char buf[16];

	printf("connect %ld\n", syscall(SYS_connect, fd, &target, sizeof target));
	say_peer(fd);
	syscall(SYS_sendto, fd, "raw", 3L, 0L, NULL, 0L);
	n = syscall(SYS_recvfrom, fd, buf, sizeof buf, 0L, NULL, NULL);
	printf("echo %.*s\n", (int)n, buf);
	syscall(SYS_close, fd);
	n = syscall(SYS_write, fd, "", 1L);
	printf("closed %ld %s\n", n, strerrorname_np(errno));
	return 0;
}

static int by_stream(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), next;
	FILE *stream;

	if (connect(fd, (struct sockaddr *)&target, sizeof target) == -1)
		return 1;
	stream = fdopen(fd, "w");
	printf("fclose %d\n", fclose(stream));
	next = socket(AF_INET, SOCK_STREAM, 0);
	printf("the same number: %d\n", next == fd);
	say_peer(next);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	if (strcmp(argv[1], "raw") == 0 || strcmp(argv[1], "fclose") == 0) {
		inet_pton(AF_INET, argv[2], &target.sin_addr);
		target.sin_port = htons((in_port_t)atoi(argv[3]));
		return argv[1][0] == 'r' ? raw() : by_stream();
	}
	start(argv[1], argv + 2);
	perror(argv[1]);
	return 1;
}
