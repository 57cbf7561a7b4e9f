#include "settings.h"

#include <arpa/inet.h>
#include <string.h>

struct words {
	const char *key, *value;
	size_t key_len, value_len;
};

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static bool same(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(text, word, len) == 0;
}

/* Cuts a line into its words.  Returns how many there are: 0, 2, or -1 for any other number. */
static int split(const char *line, size_t len, struct words *out)
{
	const char *starts[2];
	size_t lens[2], at = 0;
	int n = 0;

	while (true) {
		while (at < len && blank(line[at]))
			at++;
		if (at == len || line[at] == '#')
			break;
		size_t start = at;
		while (at < len && !blank(line[at]))
			at++;
		if (n == 2)
			return -1;
		starts[n] = line + start;
		lens[n++] = at - start;
	}
	if (n == 0)
		return 0;
	if (n == 1)
		return -1;
	*out = (struct words){starts[0], starts[1], lens[0], lens[1]};
	return 2;
}

/* By hand: strtol() would bind to a versioned symbol of the newest C library. */
static bool take_number(const char *value, size_t len, unsigned most, unsigned *out)
{
	if (len == 0 || len > 5)
		return false;
	for (*out = 0; len > 0; value++, len--) {
		if (*value < '0' || *value > '9')
			return false;
		*out = *out * 10 + (unsigned)(*value - '0');
	}
	return *out <= most;
}

static bool take_small(const char *value, size_t len, unsigned most, uint8_t *out)
{
	unsigned number;

	if (!take_number(value, len, most, &number))
		return false;
	*out = (uint8_t)number;
	return true;
}

static bool take_flag(const char *value, size_t len, bool *out)
{
	uint8_t number;

	if (!take_small(value, len, 1, &number))
		return false;
	*out = number == 1;
	return true;
}

static bool take_port(const char *value, size_t len, in_port_t *out)
{
	unsigned port;

	if (!take_number(value, len, 65535, &port) || port == 0)
		return false;
	*out = htons((uint16_t)port);
	return true;
}

/* 127.42.42.0/24 */
static bool take_range(const char *value, size_t len, struct settings *out)
{
	const char *slash = memchr(value, '/', len);
	char text[INET_ADDRSTRLEN];
	struct in_addr net;

	if (slash == NULL || (size_t)(slash - value) >= sizeof text)
		return false;
	memcpy(text, value, (size_t)(slash - value));
	text[slash - value] = '\0';
	if (inet_pton(AF_INET, text, &net) != 1)
		return false;
	out->onion_net = ntohl(net.s_addr);
	return take_small(slash + 1, len - (size_t)(slash + 1 - value), 30, &out->onion_bits) &&
	       out->onion_bits >= 8;
}

static bool take_search(const char *value, size_t len, struct settings *out)
{
	size_t have = strlen(out->search);

	if (have + len + 2 > sizeof out->search)
		return false;
	if (have > 0)
		out->search[have++] = ' ';
	memcpy(out->search + have, value, len);
	out->search[have + len] = '\0';
	return true;
}

static bool take_address(const char *value, size_t len, struct settings *out)
{
	char text[INET6_ADDRSTRLEN];

	if (len >= sizeof text)
		return false;
	memcpy(text, value, len);
	text[len] = '\0';
	if (strlen(text) != len)
		return false;
	if (inet_pton(AF_INET, text, &out->server.v4.sin_addr) == 1) {
		out->server.v4.sin_family = AF_INET;
		return true;
	}
	if (inet_pton(AF_INET6, text, &out->server.v6.sin6_addr) == 1) {
		out->server.v6.sin6_family = AF_INET6;
		return true;
	}
	return false;
}

static bool take_bytes(const char *value, size_t len, uint8_t *out, uint8_t *out_len)
{
	if (len == 0 || len > 255)
		return false;
	memcpy(out, value, len);
	*out_len = (uint8_t)len;
	return true;
}

static bool take_line(const struct words *line, struct settings *out, in_port_t *port)
{
	const char *key = line->key, *value = line->value;
	size_t key_len = line->key_len, len = line->value_len;

	if (same(key, key_len, "TorAddress"))
		return take_address(value, len, out);
	if (same(key, key_len, "TorPort"))
		return take_port(value, len, port);
	if (same(key, key_len, "SOCKS5Username"))
		return take_bytes(value, len, out->user, &out->user_len);
	if (same(key, key_len, "SOCKS5Password"))
		return take_bytes(value, len, out->pass, &out->pass_len);
	if (same(key, key_len, "TelepresencePipeline"))
		return take_flag(value, len, &out->pipeline);
	if (same(key, key_len, "TelepresenceSearch"))
		return take_search(value, len, out);
	if (same(key, key_len, "TelepresenceNdots"))
		return take_small(value, len, 15, &out->ndots);
	if (same(key, key_len, "AllowInbound"))
		return take_flag(value, len, &out->inbound);
	if (same(key, key_len, "AllowOutboundLocalhost"))
		return take_small(value, len, LOCALHOST_TCP, &out->localhost);
	if (same(key, key_len, "IsolatePID"))
		return take_flag(value, len, &out->isolate);
	if (same(key, key_len, "OnionAddrRange"))
		return take_range(value, len, out);
	return same(key, key_len, "EnableIPv6"); /* of newer ones; here IPv6 is as in the pod */
}

int settings_parse(const char *text, size_t len, struct settings *out)
{
	in_port_t port = 0;
	int number = 1;

	memset(out, 0, sizeof *out);
	out->inbound = true;
	out->localhost = LOCALHOST_ALL;
	out->ndots = 1;
	out->onion_net = 0x7f2a2a00; /* torsocks.conf(5) */
	out->onion_bits = 24;
	out->server.v4.sin_family = AF_INET;
	out->server.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (size_t at = 0; at < len; number++) {
		const char *end = memchr(text + at, '\n', len - at);
		size_t line_len = end == NULL ? len - at : (size_t)(end - (text + at));
		struct words line;
		int n = split(text + at, line_len, &line);

		if (n == -1 || (n == 2 && !take_line(&line, out, &port)))
			return number;
		at += line_len + 1;
	}
	if (port == 0 || (out->user_len == 0) != (out->pass_len == 0) ||
	    (out->isolate && out->user_len > 0))
		return number;
	if (out->server.any.sa_family == AF_INET)
		out->server.v4.sin_port = port;
	else
		out->server.v6.sin6_port = port;
	return 0;
}

bool settings_login(struct settings *settings, const char *user, const char *pass)
{
	return take_bytes(user, strlen(user), settings->user, &settings->user_len) &&
	       take_bytes(pass, strlen(pass), settings->pass, &settings->pass_len);
}
