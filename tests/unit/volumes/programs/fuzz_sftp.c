/* Between a client and a server that both say what they like: every question of the client's gets one
 * answer, and nothing is read beyond a packet's end.
 *   fuzz_sftp ROUNDS [SEED] */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ahead.h"
#include "onward.h"
#include "relay.h"

enum { IDS = 1 << 16, HANDLES = 16, AT_ONCE = 64, ASKED = 4096 };

static struct relay relay;
static struct { bool is_asked, is_answered; } questions[IDS];
static uint32_t next_id, n_open;
static struct { uint8_t type; uint32_t id; } asked[ASKED];
static size_t n_asked;
static struct queue from_relay, to_client;
static unsigned char handles[HANDLES][8];
static size_t handle_lens[HANDLES];
static int client[2], server[2];

static size_t below(size_t n)
{
	return (size_t)random() % n;
}

static _Noreturn void fail(const char *what, uint32_t which)
{
	fprintf(stderr, "fuzz_sftp: %s %u\n", what, which);
	exit(1);
}

static void *run(void *unused)
{
	(void)unused;
	return relay_run(&relay) == 0 ? &relay : NULL;
}

static void put_text(struct queue *q, const void *bytes, size_t len)
{
	queue_put_u32(q, (uint32_t)len);
	queue_put(q, bytes, len);
}

static void put_u64(struct queue *q, uint64_t value)
{
	queue_put_u32(q, (uint32_t)(value >> 32));
	queue_put_u32(q, (uint32_t)value);
}

static void put_path(struct queue *q)
{
	static const char *const paths[] = { "/.", "/v", "/v/a", "/v/b", "/v/c", "/w/a", "", "/v/a/b" };
	const char *path = paths[below(sizeof paths / sizeof *paths)];
	put_text(q, path, strlen(path));
}

static void put_handle(struct queue *q, size_t i)
{
	put_text(q, handles[i], handle_lens[i]);
}

static void receive(int fd, struct queue *q)
{
	queue_reserve(q, 1 << 18);
	ssize_t n = recv(fd, q->at + q->end, q->size - q->end, MSG_DONTWAIT);
	if (n == 0 || (n == -1 && errno != EAGAIN))
		fail("the relay has closed, errno", (uint32_t)errno);
	if (n > 0)
		q->end += (size_t)n;
}

static bool take(struct queue *q, uint8_t *type, uint32_t *id, struct cursor *body)
{
	struct cursor c = { q->at + q->begin, queue_held(q), false };
	size_t len = take_u32(&c);
	if (c.broken || c.left < len)
		return false;
    *type = *c.at;
	c.at++, c.left--;
    *id = take_u32(&c);
    *body = (struct cursor){ c.at, len - 5, false };
	queue_drop(q, len + 4);  /* the bytes stay until more are received */
	return true;
}

static void hear_client(void)
{
	uint8_t type;
	uint32_t id;
	struct cursor body;
	receive(client[0], &to_client);
	while (take(&to_client, &type, &id, &body)) {
		if (id >= IDS || !questions[id].is_asked || questions[id].is_answered)
			fail("an answer that nobody waits for", id);
		questions[id].is_answered = true;
		n_open--;
		struct text handle = take_text(&body);
		if (type == FXP_HANDLE && !body.broken && handle.len <= sizeof handles[0]) {
			size_t i = below(HANDLES);
			memcpy(handles[i], handle.at, handle_lens[i] = handle.len);
		}
	}
}

/* A packet that may be cut, or have a byte or two changed; its own length is true. */
static void post(int fd, uint8_t type, uint32_t id, struct queue *body)
{
	struct queue packet = { 0 };
	size_t len = queue_held(body);
	if (below(80) == 0)
		len = below(len + 1);
	for (size_t n = below(80) == 0 ? 1 + below(3) : 0; n > 0 && len > 0; n--)
		body->at[below(len)] = (unsigned char)random();
	queue_put_u32(&packet, (uint32_t)len + 5);
	queue_put(&packet, &type, 1);
	queue_put_u32(&packet, id);
	queue_put(&packet, body->at, len);
	for (size_t at = 0; at < queue_held(&packet);) {
		ssize_t n = send(fd, packet.at + at, queue_held(&packet) - at, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == -1 && errno != EAGAIN)
			fail("cannot send, errno", (uint32_t)errno);
		if (n == -1)
			hear_client();  /* else both would wait for the other to read */
		else
			at += (size_t)n;
	}
	free(packet.at);
	free(body->at);
}

static void ask(int fd)
{
	static const uint8_t types[] = {
		FXP_OPEN, FXP_OPEN, FXP_CLOSE, FXP_READ, FXP_READ, FXP_READ, FXP_READ, FXP_WRITE,
		FXP_FSTAT, FXP_OPENDIR, FXP_READDIR, FXP_STAT, FXP_LSTAT, FXP_RENAME, FXP_EXTENDED,
	};
	static uint64_t offset;
	static size_t current;  /* whose reads follow each other */
	struct queue body = { 0 };
	uint8_t type = types[below(sizeof types)];
	if (type != FXP_READ && type != FXP_OPEN && below(8) > 0)
		type = FXP_READ;
	if (type == FXP_READ && below(60) == 0) {
		offset = below(3) == 0 ? UINT64_MAX - below(100000) : below(1000000);
		current = below(HANDLES);
	}
	size_t len = below(8) == 0 ? below(300000) : 65536;
	if (type == FXP_OPEN || type == FXP_OPENDIR || type == FXP_STAT || type == FXP_LSTAT || type == FXP_RENAME)
		put_path(&body);
	else
		put_handle(&body, type == FXP_READ ? current : below(HANDLES));
	if (type == FXP_OPEN)
		queue_put_u32(&body, below(20) == 0 ? 2 : OPEN_READ), queue_put_u32(&body, 0);
	if (type == FXP_READ || type == FXP_WRITE) {
		put_u64(&body, offset), queue_put_u32(&body, (uint32_t)len);
		offset += len;
	}
	questions[next_id].is_asked = true;
	n_open++;
	post(fd, type, next_id++, &body);
}

static void put_attrs(struct queue *q)
{
	static const uint32_t modes[] = { S_IFREG | 0644, S_IFREG | 0644, S_IFLNK | 0777, S_IFDIR | 0755 };
	queue_put_u32(q, 5);
	put_u64(q, below(4) == 0 ? below(40000) : below(200));
	queue_put_u32(q, modes[below(4)]);
}

static void put_bytes(struct queue *q, size_t len)
{
	static unsigned char bytes[PIECE_BYTES];
	put_text(q, bytes, len < sizeof bytes ? len : sizeof bytes);
}

static void answer(int fd)
{
	static const char *const names[] = { "a", "b", "c", ".." };
	size_t i = below(n_asked);
	uint8_t type = asked[i].type, with = FXP_STATUS;
	uint32_t id = asked[i].id;
	struct queue body = { 0 };
	asked[i] = asked[--n_asked];
	if (below(type == FXP_READ ? 100 : 10) == 0) {
		queue_put_u32(&body, FX_EOF);
	} else if (type == FXP_OPEN || type == FXP_OPENDIR) {
		uint32_t handle = (uint32_t)random();
		put_text(&body, &handle, below(9) == 0 ? 0 : 4);
		with = FXP_HANDLE;
	} else if (type == FXP_READ) {
		put_bytes(&body, below(60) == 0 ? below(300) : PIECE_BYTES);
		with = FXP_DATA;
	} else if (type == FXP_READDIR) {
		uint32_t n = (uint32_t)below(4);
		queue_put_u32(&body, n);
		for (; n > 0; n--) {
			put_text(&body, names[n], strlen(names[n]));
			put_text(&body, "long", 4);
			put_attrs(&body);
		}
		with = FXP_NAME;
	} else if (type == FXP_STAT || type == FXP_LSTAT || type == FXP_FSTAT) {
		put_attrs(&body);
		with = FXP_ATTRS;
	} else {
		queue_put_u32(&body, FX_OK);
	}
	post(fd, with, id, &body);
}

static void hear_server(void)
{
	struct cursor body;
	receive(server[0], &from_relay);
	while (n_asked < ASKED && take(&from_relay, &asked[n_asked].type, &asked[n_asked].id, &body))
		n_asked++;
}

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : 1000, answered = 0;
	char volume[] = "/v", *volumes[] = { volume, NULL };
	pthread_t thread;
	void *result;
	srandom(argc > 2 ? (unsigned)atol(argv[2]) : 1);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, client) == -1 || socketpair(AF_UNIX, SOCK_STREAM, 0, server) == -1)
		fail("no socketpair, errno", (uint32_t)errno);
	relay = (struct relay){ .client = client[1], .server = server[1], .timeout_s = 0.05 };
	relay.ahead = ahead_open(&relay, volumes);
	relay.onward = onward_open(&relay);
	if (pthread_create(&thread, NULL, run, NULL) != 0)
		fail("no thread", 0);
	for (long i = 0; i < rounds || n_open > 0; i++) {
		struct pollfd p[2] = { { .fd = client[0], .events = POLLIN }, { .fd = server[0], .events = POLLIN } };
		bool is_silent = i >= rounds || i % 5000 > 4900;  /* at times, and in the end, the server is */
		if (i > rounds + 10000)
			fail("questions without an answer:", n_open);
		if (i < rounds && n_open < AT_ONCE && next_id < IDS - 1)
			ask(client[0]);
		if (poll(p, 2, is_silent || n_open >= AT_ONCE ? 2 : 0) == -1)
			fail("poll, errno", (uint32_t)errno);
		if (p[0].revents)
			hear_client();
		if (p[1].revents)
			hear_server();
		for (size_t n = below(8); n > 0 && n_asked > 0 && !is_silent; n--, answered++)
			answer(server[0]);
	}
	close(client[0]);
	pthread_join(thread, &result);
	printf("%u questions, %ld answers of the server's\n", next_id, answered);
	return result == &relay && next_id > 0 ? 0 : 1;
}
