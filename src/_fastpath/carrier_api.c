#include "carrier_api.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	READ_AHEAD = 128 * 1024, /* one read(2) brings several records */
};

static void tell(char *to, size_t room, const char *what)
{
	unsigned long code = ERR_get_error();
	const char *why = code == 0 ? NULL : ERR_reason_error_string(code);

	(void)snprintf(to, room, "%s: %s", what, why != NULL ? why : "unknown");
	ERR_clear_error();
}

/* -EAGAIN, 0 for an orderly end, or another -errno. */
static int ssl_trouble(struct apiserver *api, int rc, const char *what)
{
	int saved = errno;

	switch (SSL_get_error(api->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		api->wants_write = false;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		api->wants_write = true;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		(void)snprintf(api->error, sizeof api->error, "%s: %s", what,
			       saved != 0 ? strerror(saved) : "closed by the other side");
		return saved != 0 ? -saved : 0;
	default:
		tell(api->error, sizeof api->error, what);
		return -EPROTO;
	}
}

static ssize_t raw_read(struct apiserver *api, uint8_t *to, size_t len)
{
	size_t n;
	int rc;

	ERR_clear_error();
	errno = 0;
	rc = SSL_read_ex(api->ssl, to, len, &n);
	return rc > 0 ? (ssize_t)n : ssl_trouble(api, rc, "reading from the API server");
}

static ssize_t raw_write(struct apiserver *api, const uint8_t *data, size_t len)
{
	size_t n;
	int rc;

	ERR_clear_error();
	errno = 0;
	rc = SSL_write_ex(api->ssl, data, len, &n);
	if (rc > 0)
		return (ssize_t)n;
	rc = ssl_trouble(api, rc, "writing to the API server");
	return rc == 0 ? -EPIPE : rc;
}

/* 0 when nothing is staged any more, or -errno. */
static int flush(struct apiserver *api)
{
	while (api->start < api->end) {
		ssize_t n = raw_write(api, api->stage + api->start, api->end - api->start);

		if (n < 0)
			return (int)n;
		api->start += (size_t)n;
	}
	api->start = api->end = 0;
	return 0;
}

/* The next frame: what of `vectors` stands behind `offset`, as much as there is room for. */
static size_t stage_data(struct apiserver *api, const struct iovec *vectors, int count, size_t offset)
{
	size_t room = sizeof api->stage - SPDY_HEAD;
	size_t taken = 0;

	for (int i = 0; i < count && taken < room; i++) {
		size_t part = vectors[i].iov_len;

		if (offset >= part) {
			offset -= part;
			continue;
		}
		part = part - offset < room - taken ? part - offset : room - taken;
		memcpy(api->stage + SPDY_HEAD + taken, (const uint8_t *)vectors[i].iov_base + offset,
		       part);
		offset = 0;
		taken += part;
	}
	spdy_data(api->stage, taken);
	api->end = SPDY_HEAD + taken;
	return taken;
}

static ssize_t apiserver_write(struct carrier *carrier, const struct iovec *vectors, int count)
{
	struct apiserver *api = (struct apiserver *)carrier;
	size_t total = 0, taken = 0;
	int rc = flush(api);

	for (int i = 0; i < count; i++)
		total += vectors[i].iov_len;
	while (rc == 0 && taken < total) {
		taken += stage_data(api, vectors, count, taken);
		rc = flush(api);
	}
	carrier->pending = api->start < api->end;
	if (rc != 0 && rc != -EAGAIN)
		return rc;
	return taken > 0 || rc == 0 ? (ssize_t)taken : -EAGAIN;
}

static void answer_ping(struct apiserver *api)
{
	api->spdy.pong_due = false;
	/* One that finds no room is left out: the server sends another. */
	if (api->end + SPDY_PONG > sizeof api->stage)
		return;
	memcpy(api->stage + api->end, api->spdy.pong, SPDY_PONG);
	api->end += SPDY_PONG;
	(void)flush(api);
	api->carrier.pending = api->start < api->end;
}

/* Reads as long as there is something: TLS may hold what the socket no longer shows. */
static ssize_t apiserver_read(struct carrier *carrier, uint8_t *to, size_t len)
{
	struct apiserver *api = (struct apiserver *)carrier;
	size_t got = 0;
	ssize_t n = -EAGAIN;

	while (got < len && !api->ended) {
		n = raw_read(api, to + got, len - got);
		if (n <= 0)
			break;
		n = spdy_take(&api->spdy, to + got, (size_t)n);
		if (n < 0)
			break;
		got += (size_t)n;
		if (api->spdy.pong_due)
			answer_ping(api);
		if (api->spdy.closed) {
			n = 0;
			break;
		}
	}
	carrier->drained = got < len;
	if (n != -EAGAIN && n <= 0 && got > 0) {
		carrier->drained = false; /* the end comes with the next call */
		api->ended = n == 0;
	}
	if (got > 0)
		return (ssize_t)got;
	return api->ended ? 0 : n;
}

static void apiserver_free(struct carrier *carrier)
{
	struct apiserver *api = (struct apiserver *)carrier;

	SSL_free(api->ssl);
	close(carrier->fd);
	free(api);
}

void apiserver_close(struct apiserver *api)
{
	apiserver_free(&api->carrier);
}

static int no_passphrase(char *buffer, int size, int writing, void *context)
{
	(void)buffer, (void)size, (void)writing, (void)context;
	return 0; /* a key that needs one is refused, instead of asking at the terminal */
}

static int load(SSL_CTX *context, const struct apiserver_trust *trust, char *error, size_t room)
{
	SSL_CTX_set_default_passwd_cb(context, no_passphrase);
	if (trust->ca_file != NULL ? SSL_CTX_load_verify_file(context, trust->ca_file) != 1
				   : SSL_CTX_set_default_verify_paths(context) != 1) {
		tell(error, room, "the certificate authority's file");
		return -1;
	}
	if (trust->cert_file != NULL &&
	    SSL_CTX_use_certificate_chain_file(context, trust->cert_file) != 1) {
		tell(error, room, "the client certificate's file");
		return -1;
	}
	if (trust->key_file != NULL &&
	    SSL_CTX_use_PrivateKey_file(context, trust->key_file, SSL_FILETYPE_PEM) != 1) {
		tell(error, room, "the client key's file");
		return -1;
	}
	return 0;
}

static SSL_CTX *make_context(const struct apiserver_trust *trust, char *error, size_t room)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (context == NULL) {
		tell(error, room, "TLS");
		return NULL;
	}
	SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_default_read_buffer_len(context, READ_AHEAD);
	SSL_CTX_set_verify(context, trust->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	/* As Go, which kubectl is written in: an intermediate in the CA file is enough. */
	X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
	if (load(context, trust, error, room) != 0) {
		SSL_CTX_free(context);
		return NULL;
	}
	return context;
}

/* The name for SNI and for the check: RFC 6066 section 3 allows no addresses in SNI. */
static int expect_name(SSL *ssl, const char *name)
{
	if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1)
		return 1;
	return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

struct apiserver *apiserver_open(int fd, const struct apiserver_trust *trust, char *error, size_t room)
{
	struct apiserver *api = calloc(1, sizeof *api);
	SSL_CTX *context = api == NULL ? NULL : make_context(trust, error, room);

	if (context != NULL) {
		api->ssl = SSL_new(context);
		SSL_CTX_free(context); /* the connection holds it now */
	}
	if (api == NULL || api->ssl == NULL)
		goto failed;
	if (!expect_name(api->ssl, trust->name) || SSL_set_fd(api->ssl, fd) != 1) {
		tell(error, room, "TLS");
		goto failed;
	}
	SSL_set_connect_state(api->ssl);
	spdy_init(&api->spdy);
	api->carrier = (struct carrier){.fd = fd, .tangled = true, .read = apiserver_read, .write = apiserver_write,
					.free = apiserver_free};
	return api;
failed:
	if (api != NULL)
		SSL_free(api->ssl);
	free(api);
	return NULL;
}

int apiserver_handshake(struct apiserver *api)
{
	long verdict;
	int rc;

	ERR_clear_error();
	errno = 0;
	rc = SSL_do_handshake(api->ssl);
	if (rc == 1)
		return 0;
	rc = ssl_trouble(api, rc, "TLS");
	verdict = SSL_get_verify_result(api->ssl);
	if (rc != -EAGAIN && verdict != X509_V_OK)
		(void)snprintf(api->error, sizeof api->error, "the API server's certificate: %s",
			       X509_verify_cert_error_string(verdict));
	return rc == 0 ? -ECONNRESET : rc;
}

ssize_t apiserver_say(struct apiserver *api, const uint8_t *data, size_t len)
{
	return raw_write(api, data, len);
}

int apiserver_take_head(struct apiserver *api)
{
	/* Byte by byte: what follows the empty line belongs to the first frame. */
	while (api->head_len < sizeof api->head) {
		ssize_t n = raw_read(api, (uint8_t *)api->head + api->head_len, 1);

		if (n <= 0)
			return n == 0 ? -ECONNRESET : (int)n;
		api->head_len++;
		if (api->head_len >= 4 && memcmp(api->head + api->head_len - 4, "\r\n\r\n", 4) == 0)
			return 0;
	}
	(void)snprintf(api->error, sizeof api->error, "the answer's head is over %d bytes", APISERVER_HEAD_MAX);
	return -EPROTO;
}
