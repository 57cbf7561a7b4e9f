/* DNS messages: as much of them as a question for an address needs.
 *
 * Called by: names.c, and its fuzzing test.
 * Owns: nothing.  Never: touches a socket; believes a length that it has not checked.
 *
 * Source: RFC 1035 section 4. */
#ifndef TELEPRESENCE_SUPERVISOR_DNS_H
#define TELEPRESENCE_SUPERVISOR_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DNS_A = 1,
	DNS_AAAA = 28,
	DNS_NXDOMAIN = 3,
	DNS_NAME_MAX = 255,
	DNS_QUESTION_MAX = 4096, /* of a message; far more than one question needs */
	DNS_ADDRESSES_MAX = 16,
	DNS_ANSWER_MAX = DNS_QUESTION_MAX + DNS_ADDRESSES_MAX * 28,
};

struct dns_question {
	uint16_t id, type;
	uint8_t name_len;		/* 0: the root, or not one that text can say */
	char name[DNS_NAME_MAX + 1]; /* dotted, without the last dot */
	size_t end;			/* of the question section in the message */
};

/* A query with one question of class IN. */
bool dns_take_question(const uint8_t *message, size_t len, struct dns_question *out);
bool dns_is_answer(const uint8_t *message, size_t len);
uint16_t dns_id(const uint8_t *message);
void dns_set_id(uint8_t *message, uint16_t id);
uint8_t dns_rcode(const uint8_t *message);
/* The answer to a query: `n` addresses of the type that it asks for, at most DNS_ADDRESSES_MAX and each
 * 16 bytes of which IPv4 has the first four.  Returns its length; out has DNS_ANSWER_MAX bytes. */
size_t dns_make_answer(const uint8_t *query, const struct dns_question *question,
		       const uint8_t addresses[][16], size_t n, uint8_t *out);

#endif
