/* Bytes without sense, and sense with a byte changed, into every parser.  Each buffer has exactly
 * its length on the heap, so that under AddressSanitizer one byte too far is the end.
 *   fuzz_parsers [ROUNDS [SEED]] */
#include <errno.h>

#include "../../fuzz.h"
#include "handshake.h"

static void parse(const uint8_t *from, size_t len)
{
	uint8_t *buf = exactly(from, len);
	struct socks5_greeting greeting;
	struct socks5_userpass userpass;
	struct socks5_request request;
	struct socks5_answer answer;
	struct settings settings;
	size_t need = 0;
	ssize_t n;

	must(socks5_take_greeting(buf, len, &greeting) <= (ssize_t)len, "greeting");
	must(socks5_take_userpass(buf, len, &userpass) <= (ssize_t)len, "userpass");
	must(socks5_take_request(buf, len, &request) <= (ssize_t)len, "request");
	must(socks5_take_answer(buf, len, &answer) <= (ssize_t)len, "answer");
	(void)socks5_reply_for(buf, len);
	for (int password = 0; password < 2; password++) {
		n = handshake_take(buf, len, password == 1, &answer, &need);
		must(n <= (ssize_t)len, "handshake");
		must(n != 0 || need > len, "handshake asks for less than it has");
		must(n != 0 || need <= HANDSHAKE_REPLIES_MAX, "handshake asks for too much");
	}
	must(settings_parse((const char *)buf, len, &settings) >= 0, "settings");
	free(buf);
}

static size_t sense(uint8_t *buf, size_t room)
{
	static const char text[] = "TorAddress 127.0.0.1\nTorPort 9050 # here\nSOCKS5Username u\n"
				   "SOCKS5Password p\nTelepresencePipeline 1\n";
	static const uint8_t replies[] = {5, 2, 1, 0, 5, 0, 0, 3, 4, 'n', 'a', 'm', 'e', 0, 80};
	struct socks5_addr addr = {.atyp = SOCKS5_DOMAIN, .host_len = (uint8_t)(1 + draw(255))};
	const uint8_t methods[] = {0, 2};

	memset(addr.host, 'x', addr.host_len);
	switch (draw(5)) {
	case 0:
		memcpy(buf, text, sizeof text - 1);
		return sizeof text - 1;
	case 1:
		memcpy(buf, replies, sizeof replies);
		return sizeof replies;
	case 2:
		return (size_t)socks5_make_greeting(buf, room, methods, 2);
	case 3:
		return (size_t)socks5_make_request(buf, room, SOCKS5_CONNECT, &addr);
	default:
		return (size_t)socks5_make_reply(buf, room, (uint8_t)draw(9), &addr);
	}
}

int main(int argc, char **argv)
{
	long rounds = fuzz_start(argc, argv, 100000);
	uint8_t buf[600];

	for (long i = 0; i < rounds; i++) {
		size_t len;

		if (draw(2) == 0) {
			len = draw(sizeof buf);
			for (size_t at = 0; at < len; at++)
				buf[at] = (uint8_t)draw(draw(2) == 0 ? 6 : 256);
		} else {
			len = sense(buf, sizeof buf);
			buf[draw((uint32_t)len)] = (uint8_t)draw(256);
			len -= draw(4) == 0 ? draw((uint32_t)len) : 0;
		}
		parse(buf, len);
	}
	printf("%ld rounds\n", rounds);
	return 0;
}
