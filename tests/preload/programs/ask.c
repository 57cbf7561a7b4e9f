/* What libc says about names, in every way there is to ask.   ask NAME... */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void say_host(const char *what, const struct hostent *host, int error)
{
	char text[INET6_ADDRSTRLEN];

	if (host == NULL) {
		printf("%s error %d\n", what, error);
		return;
	}
	printf("%s %s family %d length %d", what, host->h_name, host->h_addrtype, host->h_length);
	for (char **at = host->h_addr_list; *at != NULL; at++)
		printf(" %s", inet_ntop(host->h_addrtype, *at, text, sizeof text));
	printf("\n");
}

static void by_getaddrinfo(const char *name, const char *service, struct addrinfo hints)
{
	struct addrinfo *list = NULL;
	char host[NI_MAXHOST], port[NI_MAXSERV];
	int rc = getaddrinfo(name, service, &hints, &list);

	printf("getaddrinfo family %d flags %x type %d: %d\n", hints.ai_family,
	       (unsigned)hints.ai_flags, hints.ai_socktype, rc);
	if (rc != 0)
		return;
	for (struct addrinfo *at = list; at != NULL; at = at->ai_next) {
		getnameinfo(at->ai_addr, at->ai_addrlen, host, sizeof host, port, sizeof port,
			    NI_NUMERICHOST | NI_NUMERICSERV);
		printf("  %s %s family %d type %d protocol %d %s\n", host, port, at->ai_family,
		       at->ai_socktype, at->ai_protocol,
		       at->ai_canonname == NULL ? "-" : at->ai_canonname);
	}
	freeaddrinfo(list);
}

static void ask(const char *name)
{
	struct hostent host, *found = NULL;
	char buf[1024];
	int error = 0;

	by_getaddrinfo(name, "80", (struct addrinfo){0});
	by_getaddrinfo(name, "https", (struct addrinfo){.ai_socktype = SOCK_STREAM});
	by_getaddrinfo(name, NULL, (struct addrinfo){.ai_family = AF_INET, .ai_flags = AI_CANONNAME});
	by_getaddrinfo(name, NULL, (struct addrinfo){.ai_family = AF_INET6,
						     .ai_flags = AI_V4MAPPED | AI_ADDRCONFIG});
	by_getaddrinfo(name, NULL, (struct addrinfo){.ai_family = AF_INET6});
	by_getaddrinfo(name, NULL, (struct addrinfo){.ai_flags = AI_NUMERICHOST});
	by_getaddrinfo(name, "no-such-service", (struct addrinfo){.ai_socktype = SOCK_STREAM});
	found = gethostbyname(name);
	say_host("gethostbyname", found, h_errno);
	found = gethostbyname2(name, AF_INET6);
	say_host("gethostbyname2", found, h_errno);
	if (gethostbyname_r(name, &host, buf, 8, &found, &error) != ERANGE)
		printf("room for nothing in 8 bytes?\n");
	gethostbyname_r(name, &host, buf + 1, sizeof buf - 1, &found, &error);
	say_host("gethostbyname_r", found, error);
	gethostbyname2_r(name, AF_INET, &host, buf, sizeof buf, &found, &error);
	say_host("gethostbyname2_r", found, error);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		ask(argv[i]);
	return 0;
}
