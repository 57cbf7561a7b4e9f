#include "socks5.h"

#include <errno.h>
#include <string.h>

enum { VERSION = 5, USERPASS_VERSION = 1 };

ssize_t socks5_take_greeting(const uint8_t *buf, size_t len, struct socks5_greeting *out)
{
	if (len > 0 && buf[0] != VERSION)
		return -EPROTO;
	if (len < 2 || len < 2u + buf[1])
		return 0;
	out->n_methods = buf[1];
	memcpy(out->methods, buf + 2, buf[1]);
	return 2 + buf[1];
}

ssize_t socks5_take_userpass(const uint8_t *buf, size_t len, struct socks5_userpass *out)
{
	size_t user, pass;

	if (len > 0 && buf[0] != USERPASS_VERSION)
		return -EPROTO;
	if (len < 2 || len < 3u + buf[1])
		return 0;
	user = buf[1];
	pass = buf[2 + user];
	if (len < 3 + user + pass)
		return 0;
	memset(out, 0, sizeof *out);
	out->user_len = (uint8_t)user;
	out->pass_len = (uint8_t)pass;
	memcpy(out->user, buf + 2, user);
	memcpy(out->pass, buf + 3 + user, pass);
	return (ssize_t)(3 + user + pass);
}

/* ATYP, address, port.  Names are not empty and hold no NUL, which getaddrinfo() would cut at. */
static ssize_t take_addr(const uint8_t *buf, size_t len, struct socks5_addr *out)
{
	size_t host, at = 1;

	if (len == 0)
		return 0;
	switch (buf[0]) {
	case SOCKS5_IPV4:
		host = 4;
		break;
	case SOCKS5_IPV6:
		host = 16;
		break;
	case SOCKS5_DOMAIN:
		if (len < 2)
			return 0;
		host = buf[1];
		at = 2;
		break;
	default:
		return -EPROTO;
	}
	if (host == 0)
		return -EPROTO;
	if (len < at + host + 2)
		return 0;
	if (buf[0] == SOCKS5_DOMAIN && memchr(buf + at, 0, host) != NULL)
		return -EPROTO;
	memset(out, 0, sizeof *out);
	out->atyp = buf[0];
	out->host_len = (uint8_t)host;
	memcpy(out->host, buf + at, host);
	out->port = (uint16_t)(buf[at + host] << 8 | buf[at + host + 1]);
	return (ssize_t)(at + host + 2);
}

/* VER, a code, RSV (ignored, as RFC 1928 gives no meaning to it), address. */
static ssize_t take_message(const uint8_t *buf, size_t len, uint8_t *code, struct socks5_addr *addr)
{
	ssize_t eaten;

	if (len > 0 && buf[0] != VERSION)
		return -EPROTO;
	if (len < 4)
		return 0;
	*code = buf[1];
	eaten = take_addr(buf + 3, len - 3, addr);
	return eaten > 0 ? eaten + 3 : eaten;
}

ssize_t socks5_take_request(const uint8_t *buf, size_t len, struct socks5_request *out)
{
	return take_message(buf, len, &out->cmd, &out->addr);
}

ssize_t socks5_take_answer(const uint8_t *buf, size_t len, struct socks5_answer *out)
{
	return take_message(buf, len, &out->code, &out->addr);
}

uint8_t socks5_reply_for(const uint8_t *buf, size_t len)
{
	if (len < 4 || buf[0] != VERSION)
		return SOCKS5_GENERAL_FAILURE;
	if (buf[3] != SOCKS5_IPV4 && buf[3] != SOCKS5_IPV6 && buf[3] != SOCKS5_DOMAIN)
		return SOCKS5_BAD_ATYP;
	return SOCKS5_GENERAL_FAILURE;
}

static ssize_t make_pair(uint8_t *buf, size_t room, uint8_t version, uint8_t value)
{
	if (room < 2)
		return -ENOBUFS;
	buf[0] = version;
	buf[1] = value;
	return 2;
}

ssize_t socks5_make_method(uint8_t *buf, size_t room, uint8_t method)
{
	return make_pair(buf, room, VERSION, method);
}

ssize_t socks5_make_userpass_status(uint8_t *buf, size_t room, uint8_t status)
{
	return make_pair(buf, room, USERPASS_VERSION, status);
}

static ssize_t make_message(uint8_t *buf, size_t room, uint8_t code, const struct socks5_addr *addr)
{
	size_t named = addr->atyp == SOCKS5_DOMAIN ? 1 : 0;
	size_t total = 4 + named + addr->host_len + 2;
	uint8_t *at = buf + 4;

	if (room < total)
		return -ENOBUFS;
	buf[0] = VERSION;
	buf[1] = code;
	buf[2] = 0;
	buf[3] = addr->atyp;
	if (named)
		*at++ = addr->host_len;
	memcpy(at, addr->host, addr->host_len);
	at += addr->host_len;
	at[0] = (uint8_t)(addr->port >> 8);
	at[1] = (uint8_t)addr->port;
	return (ssize_t)total;
}

ssize_t socks5_make_reply(uint8_t *buf, size_t room, uint8_t code, const struct socks5_addr *addr)
{
	static const struct socks5_addr nowhere = {.atyp = SOCKS5_IPV4, .host_len = 4};

	return make_message(buf, room, code, addr == NULL ? &nowhere : addr);
}

ssize_t socks5_make_request(uint8_t *buf, size_t room, uint8_t cmd, const struct socks5_addr *addr)
{
	return make_message(buf, room, cmd, addr);
}

ssize_t socks5_make_greeting(uint8_t *buf, size_t room, const uint8_t *methods, uint8_t n_methods)
{
	if (room < 2u + n_methods)
		return -ENOBUFS;
	buf[0] = VERSION;
	buf[1] = n_methods;
	memcpy(buf + 2, methods, n_methods);
	return 2 + n_methods;
}

ssize_t socks5_make_userpass(uint8_t *buf, size_t room, const uint8_t *user, uint8_t user_len,
			     const uint8_t *pass, uint8_t pass_len)
{
	if (room < 3u + user_len + pass_len)
		return -ENOBUFS;
	buf[0] = USERPASS_VERSION;
	buf[1] = user_len;
	memcpy(buf + 2, user, user_len);
	buf[2 + user_len] = pass_len;
	memcpy(buf + 3 + user_len, pass, pass_len);
	return 3 + user_len + pass_len;
}

static ssize_t take_pair(const uint8_t *buf, size_t len, uint8_t version, uint8_t *value)
{
	if (len > 0 && buf[0] != version)
		return -EPROTO;
	if (len < 2)
		return 0;
	*value = buf[1];
	return 2;
}

ssize_t socks5_take_method(const uint8_t *buf, size_t len, uint8_t *method)
{
	return take_pair(buf, len, VERSION, method);
}

ssize_t socks5_take_userpass_status(const uint8_t *buf, size_t len, uint8_t *status)
{
	return take_pair(buf, len, USERPASS_VERSION, status);
}

/* RSV, RSV, FRAG, address: a message whose first two bytes mean nothing. */
ssize_t socks5_take_datagram(const uint8_t *buf, size_t len, struct socks5_addr *out)
{
	ssize_t eaten;

	if (len < 4 || buf[2] != 0)
		return -EPROTO;
	eaten = take_addr(buf + 3, len - 3, out);
	return eaten > 0 ? eaten + 3 : -EPROTO;
}

ssize_t socks5_make_datagram(uint8_t *buf, size_t room, const struct socks5_addr *addr)
{
	ssize_t len = make_message(buf, room, 0, addr);

	if (len > 0)
		buf[0] = 0;
	return len;
}

static const struct {
	int error;
	uint8_t reply;
} meanings[] = {
	{ECONNREFUSED, SOCKS5_REFUSED},
	{ETIMEDOUT, SOCKS5_TTL_EXPIRED},
	{EHOSTUNREACH, SOCKS5_HOST_UNREACHABLE},
	{ENETUNREACH, SOCKS5_NET_UNREACHABLE},
	{EACCES, SOCKS5_NOT_ALLOWED},
	{EPERM, SOCKS5_NOT_ALLOWED},
	{EAFNOSUPPORT, SOCKS5_BAD_ATYP},
	{EOPNOTSUPP, SOCKS5_BAD_COMMAND},
	{EADDRINUSE, SOCKS5_IN_USE},
};

uint8_t socks5_reply_from_errno(int error)
{
	if (error == 0)
		return SOCKS5_SUCCEEDED;
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
		if (meanings[i].error == error)
			return meanings[i].reply;
	return SOCKS5_GENERAL_FAILURE;
}

int socks5_errno_from_reply(uint8_t code)
{
	if (code == SOCKS5_SUCCEEDED)
		return 0;
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
		if (meanings[i].reply == code)
			return meanings[i].error;
	return ECONNABORTED; /* "general failure": nothing more is known */
}
