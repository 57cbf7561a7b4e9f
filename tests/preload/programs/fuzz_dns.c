/* Random and broken DNS messages: nothing is read beyond their end, no answer is too long.
 *   fuzz_dns ROUNDS [SEED] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns.h"

static const uint8_t whole[] = {0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 5,   'r',  'e', 'd', 'i', 's', 3, 's', 'v',
				'c',  0,    0, 1, 0, 1, 0, 0, 41, 4, 208, 0, 0,   0,	0,   0};

static int judge(const uint8_t *message, size_t len)
{
	static const uint8_t addresses[DNS_ADDRESSES_MAX][16] = {{10, 1, 2, 3}};
	struct dns_question question;
	uint8_t answer[DNS_ANSWER_MAX];
	size_t end;

	if (!dns_take_question(message, len, &question))
		return 0;
	if (question.end > len || strlen(question.name) != question.name_len)
		return -1;
	end = dns_make_answer(message, &question, addresses, len % (DNS_ADDRESSES_MAX + 1), answer);
	return end > sizeof answer || !dns_is_answer(answer, end) ? -1 : 1;
}

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : 1000, taken = 0;

	srandom(argc > 2 ? (unsigned)atol(argv[2]) : 1);
	for (long i = 0; i < rounds; i++) {
		size_t len = (size_t)random() % (sizeof whole + 1);
		uint8_t *message = malloc(len); /* exactly: the sanitizer sees a byte too far */
		int rc;

		memcpy(message, whole, len);
		for (long n = random() % 4; n > 0 && len > 0; n--)
			message[(size_t)random() % len] = (uint8_t)random();
		rc = judge(message, len);
		free(message);
		if (rc < 0) {
			printf("round %ld\n", i);
			return 1;
		}
		taken += rc;
	}
	printf("%ld of %ld messages were questions\n", taken, rounds);
	return taken > 0 ? 0 : 1;
}
