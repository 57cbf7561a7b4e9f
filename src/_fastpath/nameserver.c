#include "nameserver.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

enum { RESOLV_CONF_MAX = 16 * 1024 }; /* of which the first name server is near the top */

bool nameserver_meant(const struct socks5_addr *addr)
{
	static const uint8_t any[16];

	return addr->atyp != SOCKS5_DOMAIN && addr->port == NAMESERVER_PORT &&
	       memcmp(addr->host, any, addr->host_len) == 0;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

/* An address, in IPv6 with its zone behind a %. */
static bool parse_address(const char *word, size_t len, union address *out)
{
	char text[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE];
	char *zone;

	if (len >= sizeof text)
		return false;
	memcpy(text, word, len);
	text[len] = '\0';
	memset(out, 0, sizeof *out);
	out->v4.sin_family = AF_INET;
	if (inet_pton(AF_INET, text, &out->v4.sin_addr) == 1)
		return true;
	zone = strchr(text, '%');
	if (zone != NULL)
		*zone++ = '\0';
	memset(out, 0, sizeof *out);
	out->v6.sin6_family = AF_INET6;
	if (zone != NULL)
		out->v6.sin6_scope_id = if_nametoindex(zone);
	return inet_pton(AF_INET6, text, &out->v6.sin6_addr) == 1;
}

static bool parse_line(const char *line, size_t len, union address *out)
{
	static const char keyword[] = "nameserver";
	size_t at = sizeof keyword - 1, end;

	if (len <= at || memcmp(line, keyword, at) != 0 || !blank(line[at]))
		return false;
	while (at < len && blank(line[at]))
		at++;
	for (end = at; end < len && !blank(line[end]) && line[end] != '\r';)
		end++;
	return parse_address(line + at, end - at, out);
}

void nameserver_parse(const char *text, size_t len, union address *out)
{
	static const char otherwise[] = "127.0.0.1";
	bool found = false;

	while (len > 0 && !found) {
		const char *newline = memchr(text, '\n', len);
		size_t line = newline == NULL ? len : (size_t)(newline - text);
		size_t eaten = newline == NULL ? len : line + 1;

		found = parse_line(text, line, out);
		text += eaten;
		len -= eaten;
	}
	if (!found)
		(void)parse_address(otherwise, sizeof otherwise - 1, out);
	address_set_port(out, NAMESERVER_PORT);
}

/* A short local file, for the few connections that ask for it: not worth a thread. */
void nameserver_find(union address *out)
{
	char text[RESOLV_CONF_MAX];
	int fd = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 0;

	while (fd != -1 && len < sizeof text && (n = read(fd, text + len, sizeof text - len)) > 0)
		len += (size_t)n;
	if (fd != -1)
		close(fd);
	nameserver_parse(text, len, out);
}
