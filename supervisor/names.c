#include "names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "association.h"
#include "dns.h"
#include "home.h"

enum { MORE_ROOM = DNS_ADDRESSES_MAX * (4 + 16 + 2) }; /* replies with addresses of IPv6 */
enum { GIVE_UP_MS = 15000 }; /* resolv.conf(5): 3 attempts of 5 s; the program asks anew before */

struct question {
	struct list node; /* of its asker; alone: nobody waits */
	struct asker *asker;
	struct names *names;
	struct timer timer;
	struct watch lookup; /* fd -1: the name server is asked */
	struct talk talk;
	bool found; /* the first answer is there; the others follow, until the end of the stream */
	size_t more_len;
	uint8_t more[MORE_ROOM];
	struct dns_question asked;
	uint16_t id;	 /* ours, under way */
	uint8_t *answer; /* the name server's "no such name" meanwhile */
	size_t answer_len;
	uint8_t query[]; /* with the program's own id */
};

struct names {
	struct supervisor *sup;
	struct association server;
	uint16_t next_id;
	size_t n_questions;
	struct question *questions[UINT16_MAX + 1]; /* by our id */
};

static void drop(struct question *question)
{
	struct names *names = question->names;

	names->questions[question->id] = NULL;
	names->n_questions--;
	list_remove(&question->node);
	loop_stop_timer(&question->timer);
	if (question->lookup.fd != -1) {
		loop_forget(&names->sup->loop, &question->lookup);
		close(question->lookup.fd);
	}
	free(question->answer);
	free(question);
}

static void tell(struct question *question, uint8_t *message, size_t len)
{
	dns_set_id(message, question->asked.id);
	if (!list_empty(&question->node))
		question->asker->answered(question->asker, message, len);
	drop(question);
}

static void on_given_up(struct timer *timer)
{
	drop(list_entry(timer, struct question, timer));
}

static void add(const struct question *question, const struct socks5_addr *found,
		uint8_t addresses[][16], size_t *n)
{
	const uint8_t atyp = question->asked.type == DNS_A ? SOCKS5_IPV4 : SOCKS5_IPV6;

	/* An address of the other family says that the name exists. */
	if (found->atyp == atyp && *n < DNS_ADDRESSES_MAX)
		memcpy(addresses[(*n)++], found->host, found->host_len);
}

/* What the pod's resolver says, in the name server's place. */
static void on_found(struct question *question)
{
	uint8_t message[DNS_ANSWER_MAX], addresses[DNS_ADDRESSES_MAX][16];
	size_t n = 0, at = 0;

	add(question, &question->talk.answer.addr, addresses, &n);
	while (at < question->more_len) {
		struct socks5_answer answer;
		ssize_t len = socks5_take_answer(question->more + at, question->more_len - at, &answer);

		if (len <= 0)
			break;
		add(question, &answer.addr, addresses, &n);
		at += (size_t)len;
	}
	tell(question, message,
	     dns_make_answer(question->query, &question->asked, (const uint8_t(*)[16])addresses, n,
			     message));
}

/* The other addresses: all there are when the stream ends. */
static void take_more(struct question *question)
{
	ssize_t n = recv(question->lookup.fd, question->more + question->more_len,
			 sizeof question->more - question->more_len, MSG_DONTWAIT);

	if (n > 0)
		question->more_len += (size_t)n;
	else if (n == 0 || errno != EAGAIN)
		on_found(question);
}

static void on_lookup(struct watch *watch, uint32_t ready)
{
	struct question *question = list_entry(watch, struct question, lookup);
	struct supervisor *sup = question->names->sup;
	uint32_t events = EPOLLOUT | EPOLLRDHUP;
	int rc = 0;

	if (question->found) {
		take_more(question);
		return;
	}
	if ((ready & EPOLLOUT) != 0 && question->talk.sent == 0)
		rc = -talk_reach(sup->settings, watch->fd, sup->settings->server.any.sa_family);
	if (rc == 0 || rc == -EISCONN)
		rc = talk_go_on(&question->talk, watch->fd, &events);
	question->found = rc == 1;
	if (rc == 1)
		events = EPOLLIN | EPOLLRDHUP;
	if (rc == 1 || rc == 0 || rc == -EINPROGRESS)
		(void)loop_change(&sup->loop, watch, events);
	else
		tell(question, question->answer, question->answer_len);
}

/* The name server knows no such name: ask the resolver, which tries more.  False: it need not. */
static bool look_up(struct question *question, const uint8_t *message, size_t len)
{
	struct supervisor *sup = question->names->sup;
	struct socks5_addr name = {.atyp = SOCKS5_DOMAIN, .host_len = question->asked.name_len};
	uint32_t events;

	name.port = question->asked.type == DNS_A ? SOCKS5_WANT_IPV4 : SOCKS5_WANT_IPV6;
	if ((question->asked.type != DNS_A && question->asked.type != DNS_AAAA) ||
	    name.host_len == 0 || (question->answer = malloc(len)) == NULL)
		return false;
	memcpy(question->answer, message, len);
	question->answer_len = len;
	memcpy(name.host, question->asked.name, name.host_len);
	question->lookup.fd =
		talk_open(&question->talk, sup->settings, SOCKS5_RESOLVE, &name, &events);
	if (question->lookup.fd < 0) {
		question->lookup.fd = -1;
		return false;
	}
	return loop_watch(&sup->loop, &question->lookup, events) == 0;
}

static void on_answer(struct association *association, const struct socks5_addr *from,
		      const uint8_t *payload, size_t len)
{
	struct names *names = list_entry(association, struct names, server);
	uint8_t message[DATAGRAM_MAX];
	struct question *question;

	(void)from; /* the agent asks none but its own */
	if (!dns_is_answer(payload, len))
		return;
	question = names->questions[dns_id(payload)];
	if (question == NULL || question->answer != NULL)
		return;
	if (dns_rcode(payload) == DNS_NXDOMAIN && look_up(question, payload, len))
		return;
	memcpy(message, payload, len);
	tell(question, message, len);
}

struct names *names_new(struct supervisor *sup)
{
	struct names *names = calloc(1, sizeof *names);

	if (names == NULL)
		return NULL;
	names->sup = sup;
	association_init(&names->server, sup, on_answer);
	return names;
}

void names_free(struct names *names)
{
	for (size_t id = 0; id <= UINT16_MAX; id++)
		if (names->questions[id] != NULL)
			drop(names->questions[id]);
	association_close(&names->server);
	free(names);
}

void names_ask(struct names *names, struct asker *asker, const uint8_t *message, size_t len)
{
	struct socks5_addr server = {.atyp = SOCKS5_IPV4, .host_len = 4, .port = HOME_DNS_PORT};
	uint8_t query[DNS_QUESTION_MAX];
	struct dns_question asked;
	struct question *question;

	if (!dns_take_question(message, len, &asked) || names->n_questions == UINT16_MAX)
		return;
	while (names->questions[++names->next_id] != NULL)
		;
	question = calloc(1, sizeof *question + len);
	if (question == NULL)
		return;
	question->names = names;
	question->asker = asker;
	question->asked = asked;
	question->id = names->next_id;
	question->lookup = (struct watch){-1, on_lookup};
	question->timer.expired = on_given_up;
	memcpy(question->query, message, len);
	list_append(&asker->questions, &question->node);
	loop_timer(&names->sup->loop, &question->timer, GIVE_UP_MS);
	names->questions[question->id] = question;
	names->n_questions++;
	memcpy(query, message, len);
	dns_set_id(query, question->id);
	association_send(&names->server, &server, query, len);
}

void names_forget(struct asker *asker)
{
	while (list_shift(&asker->questions) != NULL)
		; /* each goes on alone, and is dropped when it is answered */
}
