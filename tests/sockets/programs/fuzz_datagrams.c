/* Datagrams in a stream: cut anywhere and put together again they are the same; headers and
 * resolv.conf files without sense, and sense with a byte changed.  Each buffer has exactly its length
 * on the heap, so that under AddressSanitizer one byte too far is the end.
 *   fuzz_datagrams [ROUNDS [SEED]] */
#include <errno.h>

#include "../../fuzz.h"
#include "cutter.h"
#include "nameserver.h"
#include "socks5.h"

enum { MESSAGES_MAX = 6, STREAM_MAX = MESSAGES_MAX * (CUTTER_LENGTH + CUTTER_MESSAGE_MAX) };

/* Feed one piece; checks each message that comes out against the stream at `*at`. */
static void feed(struct cutter *cutter, struct pool *pool, const uint8_t *stream, size_t *at,
		 const uint8_t *piece, size_t len)
{
	static uint8_t whole[CUTTER_MESSAGE_MAX];
	uint8_t *copy = exactly(piece, len);
	size_t done = 0;

	while (done < len) {
		struct cut cut;
		ssize_t n = cutter_take(cutter, pool, copy + done, len - done, whole, &cut);

		must(n > 0 && (size_t)n <= len - done, "the cutter eats what is there");
		done += (size_t)n;
		if (cut.message == NULL) {
			must(done == len, "without a message all is eaten");
			break;
		}
		must(cut.len == ((size_t)stream[*at] << 8 | stream[*at + 1]), "the length is the stream's");
		must(memcmp(cut.message, stream + *at + CUTTER_LENGTH, cut.len) == 0, "so are the bytes");
		*at += CUTTER_LENGTH + cut.len;
	}
	free(copy);
}

static void cut_anywhere(struct pool *pool, uint8_t *stream)
{
	struct cutter cutter = {{0}};
	size_t len = 0, fed = 0, at = 0, step;
	uint32_t widest = 1 + draw(draw(3) == 0 ? 200000 : 20);

	for (uint32_t i = 1 + draw(MESSAGES_MAX); i > 0; i--) {
		size_t size = draw(8) == 0 ? draw(CUTTER_MESSAGE_MAX + 1) : draw(40);

		cutter_length(stream + len, size);
		memset(stream + len + CUTTER_LENGTH, (int)i, size);
		len += CUTTER_LENGTH + size;
	}
	for (; fed < len; fed += step) {
		step = 1 + draw(widest);
		step = step > len - fed ? len - fed : step;
		feed(&cutter, pool, stream, &at, stream + fed, step);
	}
	must(at == len && cutter.held.length == 0, "every message comes out");
	must(pool->n_used == 0, "no block is kept");
	cutter_clear(&cutter, pool);
}

/* An end in the middle of a message keeps no block once it is cleared. */
static void cut_short(struct pool *pool)
{
	static uint8_t whole[CUTTER_MESSAGE_MAX];
	const uint8_t beginning[] = {0xff, 0xff, 1, 2, 3};
	struct cutter cutter = {{0}};
	struct cut cut;

	for (size_t len = 1; len <= sizeof beginning; len++) {
		must(cutter_take(&cutter, pool, beginning, len, whole, &cut) == (ssize_t)len, "eaten");
		must(cut.message == NULL && cutter.held.length == len, "held");
		cutter_clear(&cutter, pool);
		must(pool->n_used == 0, "cleared");
	}
}

static void header(void)
{
	uint8_t bytes[SOCKS5_DATAGRAM_HEAD_MAX + 8] = {0};
	struct socks5_addr addr = {.atyp = SOCKS5_DOMAIN, .host_len = (uint8_t)(1 + draw(255)), .port = 53};
	struct socks5_addr back;
	uint8_t *copy;
	ssize_t made, n;
	size_t len;

	memset(addr.host, 'x', addr.host_len);
	made = socks5_make_datagram(bytes, sizeof bytes, &addr);
	must(made == 3 + 1 + 1 + addr.host_len + 2, "a header has its length");
	len = (size_t)made + draw(8);
	must(socks5_take_datagram(bytes, len, &back) == made && back.port == 53, "and comes back");
	bytes[draw((uint32_t)len)] = (uint8_t)draw(draw(2) == 0 ? 6 : 256);
	len -= draw(2) == 0 ? draw((uint32_t)len) : 0;
	copy = exactly(bytes, len);
	n = socks5_take_datagram(copy, len, &back);
	must(n == -EPROTO || (n > 0 && n <= (ssize_t)len), "whole or refused");
	free(copy);
}

static void resolv_conf(void)
{
	static const char *const words[] = {"nameserver", "nameserver ", " ", "\t", "\n", "\r\n", "#", ";",
					    "192.0.2.1",  "2001:db8::1", "fe80::1%lo", "%", "search x",
					    "::ffff:::",  "255.255.255.256"};
	char text[400];
	union address found;
	size_t len = 0;
	char *copy;

	for (uint32_t i = draw(20); i > 0; i--) {
		const char *word = words[draw(sizeof words / sizeof *words)];

		memcpy(text + len, word, strlen(word));
		len += strlen(word);
	}
	if (len > 0 && draw(3) == 0)
		text[draw((uint32_t)len)] = (char)draw(256);
	copy = exactly(text, len);
	nameserver_parse(copy, len, &found);
	must(found.any.sa_family == AF_INET || found.any.sa_family == AF_INET6, "there always is one");
	must(address_port(&found) == NAMESERVER_PORT, "with its port");
	free(copy);
}

int main(int argc, char **argv)
{
	long rounds = fuzz_start(argc, argv, 10000);
	uint8_t *stream = malloc(STREAM_MAX);
	struct pool pool = {0};

	must(stream != NULL, "no memory");
	cut_short(&pool);
	for (long i = 0; i < rounds; i++) {
		cut_anywhere(&pool, stream);
		header();
		resolv_conf();
	}
	pool_clear(&pool);
	free(stream);
	printf("%ld rounds\n", rounds);
	return 0;
}
