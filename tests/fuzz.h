/* What the fuzzing programs share: numbers by chance that a seed repeats, and a failure that says what. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t fuzz_state = 88172645463325252u; /* Marsaglia, "Xorshift RNGs", 2003 */

/* The words of `PROGRAM [ROUNDS [SEED]]`; returns the rounds. */
static inline long fuzz_start(int argc, char **argv, long rounds)
{
	if (argc > 2)
		fuzz_state ^= (uint64_t)atol(argv[2]) * 0x9E3779B97F4A7C15u;
	return argc > 1 ? atol(argv[1]) : rounds;
}

static inline uint32_t draw(uint32_t below)
{
	fuzz_state ^= fuzz_state << 13;
	fuzz_state ^= fuzz_state >> 7;
	fuzz_state ^= fuzz_state << 17;
	return (uint32_t)(fuzz_state >> 32) % below;
}

static inline void must(bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "broken: %s\n", what);
	exit(1);
}

/* A copy with exactly its length on the heap, so that under AddressSanitizer one byte too far is the end. */
static inline void *exactly(const void *from, size_t len)
{
	void *copy = malloc(len == 0 ? 1 : len);

	must(copy != NULL, "no memory");
	memcpy(copy, from, len);
	return copy;
}

#endif
