#include "dns.h"

#include <string.h>

enum {
	HEAD = 12,
	ANSWER = 0x80, /* of the third byte: QR */
	OPCODE = 0x78,
	WANTED = 0x01, /* RD */
	AVAILABLE = 0x80, /* of the fourth: RA */
	RCODE = 0x0f,
	IN = 1,
	RECORD_HEAD = 12,
	PLAIN_MAX = 512, /* what every client takes by UDP */
	TTL_S = 5, /* the pod's resolver does not tell */
};

static uint16_t u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint8_t *put16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
	return at + 2;
}

/* One label more; false: its bytes cannot be told from text with dots in it. */
static bool append(struct dns_question *out, const uint8_t *label, size_t len)
{
	size_t at = out->name_len;

	if (memchr(label, '.', len) != NULL || memchr(label, '\0', len) != NULL ||
	    at + 1 + len > DNS_NAME_MAX)
		return false;
	if (at > 0)
		out->name[at++] = '.';
	memcpy(out->name + at, label, len);
	out->name_len = (uint8_t)(at + len);
	out->name[out->name_len] = '\0';
	return true;
}

bool dns_take_question(const uint8_t *message, size_t len, struct dns_question *out)
{
	size_t at = HEAD;
	bool text = true;

	memset(out, 0, sizeof *out);
	if (len < HEAD || len > DNS_QUESTION_MAX || (message[2] & (ANSWER | OPCODE)) != 0 ||
	    u16(message + 4) != 1)
		return false;
	while (at < len && message[at] != 0) {
		size_t label = message[at];

		if (label > 63 || at + 1 + label >= len) /* a question is never compressed */
			return false;
		text = text && append(out, message + at + 1, label);
		at += 1 + label;
	}
	if (at + 5 > len || u16(message + at + 3) != IN)
		return false;
	if (!text)
		out->name[out->name_len = 0] = '\0';
	out->id = dns_id(message);
	out->type = u16(message + at + 1);
	out->end = at + 5;
	return true;
}

bool dns_is_answer(const uint8_t *message, size_t len)
{
	return len >= HEAD && (message[2] & ANSWER) != 0;
}

uint16_t dns_id(const uint8_t *message)
{
	return u16(message);
}

void dns_set_id(uint8_t *message, uint16_t id)
{
	(void)put16(message, id);
}

uint8_t dns_rcode(const uint8_t *message)
{
	return message[3] & RCODE;
}

size_t dns_make_answer(const uint8_t *query, const struct dns_question *question,
		       const uint8_t addresses[][16], size_t n, uint8_t *out)
{
	const uint16_t size = question->type == DNS_AAAA ? 16 : 4;
	uint8_t *at = out + question->end;

	memcpy(out, query, question->end);
	out[2] = (uint8_t)(ANSWER | (query[2] & WANTED));
	out[3] = AVAILABLE;
	memset(out + 6, 0, 6); /* answers, authorities, additional */
	for (size_t i = 0; i < n && (size_t)(at - out) + RECORD_HEAD + size <= PLAIN_MAX; i++) {
		out[7]++;
		at = put16(at, 0xc000 | HEAD); /* the question's name */
		at = put16(at, question->type);
		at = put16(at, IN);
		at = put16(at, 0);
		at = put16(at, TTL_S);
		at = put16(at, size);
		memcpy(at, addresses[i], size);
		at += size;
	}
	return (size_t)(at - out);
}
