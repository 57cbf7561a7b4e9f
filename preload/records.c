#include "records.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "exchange.h"
#include "home.h"
#include "real.h"
#include "shim.h"

/* RFC 1035 section 4.2.2: over TCP two bytes of length come first; no answer is too long for it. */
enum { LENGTH = 2, QUERY_MAX = 4096 };

static int64_t deadline_of(res_state state)
{
	int retrans = state->retrans > 0 ? state->retrans : RES_TIMEOUT;
	int retry = state->retry > 0 ? state->retry : RES_DFLRETRY;

	return exchange_deadline((int64_t)retrans * retry * 1000);
}

/* The rest of a longer answer stays unread: the connection is not used again. */
static int talk(int fd, const unsigned char *query, int len, unsigned char *answer, int room,
		int64_t deadline)
{
	unsigned char message[LENGTH + QUERY_MAX], size[LENGTH];
	int rc, answer_len;

	message[0] = (unsigned char)(len >> 8);
	message[1] = (unsigned char)len;
	memcpy(message + LENGTH, query, (size_t)len);
	rc = exchange_send(fd, message, (size_t)len + LENGTH, deadline);
	if (rc == 0)
		rc = exchange_receive(fd, size, sizeof size, deadline);
	if (rc != 0)
		return rc;
	answer_len = size[0] << 8 | size[1];
	rc = exchange_receive(fd, answer, (size_t)(answer_len < room ? answer_len : room), deadline);
	if (rc != 0)
		return rc;
	if (answer_len > room)
		answer[2] |= 2; /* TC: cut off (RFC 1035 section 4.1.1) */
	return answer_len;
}

int records_send(res_state state, const unsigned char *query, int len, unsigned char *answer,
		int room)
{
	const struct socks5_addr server = {.atyp = SOCKS5_IPV4, .host_len = 4,
					   .port = HOME_DNS_PORT};
	int64_t deadline = deadline_of(state);
	int before = errno, fd, rc;
	struct socks5_answer reply;

	if (len < HFIXEDSZ || len > QUERY_MAX || room < HFIXEDSZ) {
		errno = EINVAL;
		return -1;
	}
	fd = rc = exchange_open(SOCKS5_CONNECT, &server, &reply, deadline);
	if (fd >= 0) {
		rc = talk(fd, query, len, answer, room, deadline);
		real(close)(fd);
	}
	if (rc >= HFIXEDSZ && memcmp(query, answer, 2) != 0)
		rc = -EPROTO;
	errno = rc < 0 ? -rc : before;
	return rc < 0 ? -1 : rc;
}

static int fail(res_state state, int error)
{
	state->res_h_errno = error;
	h_errno = error;
	return -1;
}

/* What the answer's header means (resolver(3)). */
static int judge(res_state state, const unsigned char *answer, int len)
{
	/* RFC 1035 section 4.1.1 */
	enum { FOUND = 0, SERVER_FAILED = 2, NO_SUCH_NAME = 3 };

	if (len < HFIXEDSZ)
		return fail(state, TRY_AGAIN);
	switch (answer[3] & 15) {
	case FOUND:
		return answer[6] != 0 || answer[7] != 0 ? len : fail(state, NO_DATA);
	case NO_SUCH_NAME:
		return fail(state, HOST_NOT_FOUND);
	case SERVER_FAILED:
		return fail(state, TRY_AGAIN);
	default:
		return fail(state, NO_RECOVERY);
	}
}

int records_query(res_state state, const char *name, int class, int type, unsigned char *answer,
		 int room)
{
	unsigned char query[QUERY_MAX];
	int len = resolver_make_query(state, name, class, type, query, sizeof query);

	if (len <= 0)
		return fail(state, NO_RECOVERY);
	len = records_send(state, query, len, answer, room);
	return len < 0 ? fail(state, TRY_AGAIN) : judge(state, answer, len);
}

int records_querydomain(res_state state, const char *name, const char *domain, int class, int type,
		       unsigned char *answer, int room)
{
	char whole[MAXDNAME];
	size_t len = strlen(name);
	int n;

	if (domain == NULL) {
		n = snprintf(whole, sizeof whole, "%.*s",
			     (int)(len > 0 && name[len - 1] == '.' ? len - 1 : len), name);
	} else {
		n = snprintf(whole, sizeof whole, "%s.%s", name, domain);
	}
	if (n < 0 || (size_t)n >= sizeof whole)
		return fail(state, NO_RECOVERY);
	return records_query(state, whole, class, type, answer, room);
}

/* The name behind each entry of a list of words. */
static int search_list(res_state state, const char *words, const char *name, int class, int type,
		       unsigned char *answer, int room, bool *silent)
{
	char domain[MAXDNAME];
	size_t len;

	*silent = false;
	for (; *words != '\0'; words += len + strspn(words + len, " ")) {
		int n;

		len = strcspn(words, " ");
		if (len >= sizeof domain)
			continue;
		memcpy(domain, words, len);
		domain[len] = '\0';
		n = records_querydomain(state, name, domain, class, type, answer, room);
		if (n > 0)
			return n;
		if (h_errno != HOST_NOT_FOUND && h_errno != NO_DATA) {
			*silent = true;
			return n;
		}
	}
	return -1;
}

int records_search(res_state state, const char *name, int class, int type, unsigned char *answer,
		  int room)
{
	const char *words = shim_settings == NULL ? "" : shim_settings->search;
	int ndots = shim_settings == NULL ? 1 : shim_settings->ndots, dots = 0, n;
	size_t len = strlen(name);
	bool silent, whole = false;

	for (const char *at = name; *at != '\0'; at++)
		dots += *at == '.';
	if (len > 0 && name[len - 1] == '.')
		return records_querydomain(state, name, NULL, class, type, answer, room);
	if (dots >= ndots) {
		n = records_querydomain(state, name, NULL, class, type, answer, room);
		if (n > 0 || h_errno == TRY_AGAIN)
			return n;
		whole = true;
	}
	n = search_list(state, words, name, class, type, answer, room, &silent);
	if (n > 0 || silent || whole)
		return n;
	return records_querydomain(state, name, NULL, class, type, answer, room);
}
