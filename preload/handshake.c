#include "handshake.h"

#include <errno.h>

int handshake_make(const struct settings *settings, uint8_t cmd, const struct socks5_addr *addr,
		   struct handshake *out)
{
	/* One method: the server has no choice to make, so nothing has to wait for its answer. */
	const uint8_t method = settings->user_len > 0 ? SOCKS5_USERPASS : SOCKS5_NO_AUTH;
	ssize_t n = socks5_make_greeting(out->bytes, sizeof out->bytes, &method, 1);
	size_t at;

	if (n < 0)
		return (int)n;
	at = out->greeting_end = out->userpass_end = (size_t)n;
	if (method == SOCKS5_USERPASS) {
		n = socks5_make_userpass(out->bytes + at, sizeof out->bytes - at, settings->user,
					 settings->user_len, settings->pass, settings->pass_len);
		if (n < 0)
			return (int)n;
		at = out->userpass_end = at + (size_t)n;
	}
	n = socks5_make_request(out->bytes + at, sizeof out->bytes - at, cmd, addr);
	if (n < 0)
		return (int)n;
	out->request_end = at + (size_t)n;
	return 0;
}

/* The shortest answer that can begin like this. */
static size_t answer_need(const uint8_t *buf, size_t len)
{
	size_t known = 4 + 1 + 1 + 2; /* until its ATYP is seen: a name of one byte */

	if (len < 4)
		return known;
	if (buf[3] == SOCKS5_IPV4)
		known = 4 + 4 + 2;
	else if (buf[3] == SOCKS5_IPV6)
		known = 4 + 16 + 2;
	else if (buf[3] == SOCKS5_DOMAIN)
		known = len < 5 ? 5 : 4u + 1 + buf[4] + 2;
	return known;
}

size_t handshake_welcome_len(bool with_password)
{
	return with_password ? 4 : 2;
}

ssize_t handshake_take_welcome(const uint8_t *buf, size_t len, bool with_password)
{
	uint8_t value = 0;
	ssize_t n = socks5_take_method(buf, len, &value);

	if (n <= 0)
		return n;
	if (value != (with_password ? SOCKS5_USERPASS : SOCKS5_NO_AUTH))
		return -EACCES;
	if (!with_password)
		return n;
	n = socks5_take_userpass_status(buf + 2, len - 2, &value);
	if (n > 0 && value != 0)
		return -EACCES;
	return n > 0 ? n + 2 : n;
}

ssize_t handshake_take_answer(const uint8_t *buf, size_t len, struct socks5_answer *out,
			      size_t *need)
{
	ssize_t n;

	out->code = SOCKS5_SUCCEEDED;
	n = socks5_take_answer(buf, len, out);
	if (n == 0)
		*need = answer_need(buf, len);
	if (n > 0 && out->code != SOCKS5_SUCCEEDED)
		return -socks5_errno_from_reply(out->code);
	return n;
}

ssize_t handshake_take(const uint8_t *buf, size_t len, bool with_password,
		       struct socks5_answer *out, size_t *need)
{
	/* The answer to the last message is the one to wait for, in one go. */
	const size_t welcome_len = handshake_welcome_len(with_password);
	ssize_t n = handshake_take_welcome(buf, len, with_password);

	out->code = SOCKS5_SUCCEEDED;
	if (n < 0)
		return n;
	if (n == 0) {
		*need = welcome_len + answer_need(NULL, 0);
		return 0;
	}
	n = handshake_take_answer(buf + welcome_len, len - welcome_len, out, need);
	if (n == 0)
		*need += welcome_len;
	return n > 0 ? n + (ssize_t)welcome_len : n;
}
