#include "label.h"

#include <errno.h>
#include <string.h>

#include "dial.h"
#include "real.h"

enum { LABELS_MAX = 256 }; /* of one exec */

#ifdef __linux__
#include <linux/filter.h>

/* The address in 32-bit words, between a word that nobody else would put there and the verdict. */
enum { WORDS = sizeof(union flow_address) / 4, LENGTH = WORDS + 2 };
#define MAGIC 0x7e1e9e5eu

static bool is_filtered(int fd)
{
	struct sock_filter program[LENGTH];
	socklen_t len = LENGTH; /* in instructions */

	return real(getsockopt)(fd, SOL_SOCKET, SO_GET_FILTER, program, &len) == -1 || len != 0;
}

void label(int fd)
{
	struct sock_filter program[LENGTH];
	struct sock_fprog filter = {LENGTH, program};
	uint32_t words[WORDS];
	struct flow flow;
	int before = errno;

	if (!flow_read(fd, &flow) || flow.state != FLOW_UP || flow.labelled || is_filtered(fd)) {
		errno = before;
		return;
	}
	memcpy(words, &flow.target, sizeof words);
	program[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, MAGIC);
	for (int i = 0; i < WORDS; i++)
		program[1 + i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, words[i]);
	program[LENGTH - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, UINT32_MAX);
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0 &&
	    flow_claim(fd, &flow)) {
		flow.labelled = true;
		flow_release(fd, &flow);
	}
	errno = before;
}

bool label_read(int fd, struct flow *flow)
{
	struct sock_filter program[LENGTH];
	socklen_t len = LENGTH;
	uint32_t words[WORDS];

	if (real(getsockopt)(fd, SOL_SOCKET, SO_GET_FILTER, program, &len) == -1 ||
	    len != LENGTH || program[0].k != MAGIC || program[0].code != (BPF_LD | BPF_IMM))
		return false;
	for (int i = 0; i < WORDS; i++)
		words[i] = program[1 + i].k;
	memset(flow, 0, sizeof *flow);
	memcpy(&flow->target, words, sizeof words);
	flow->target_len = flow->target.any.sa_family == AF_INET ? sizeof flow->target.v4
								 : sizeof flow->target.v6;
	flow->state = FLOW_UP;
	flow->labelled = true;
	return true;
}
#else
/* Another system has no such place: the peer of a socket from elsewhere is the server. */
void label(int fd)
{
	(void)fd;
}

bool label_read(int fd, struct flow *flow)
{
	(void)fd;
	(void)flow;
	return false;
}
#endif

/* The answer of the server is eaten here: the other process does not know of any. */
static void settle(int fd)
{
	while (flow_state(fd) == FLOW_PENDING && flows_ours() && dial_look(fd) == -EALREADY &&
	       dial_settle(fd, true) == -EINTR)
		;
}

void label_passed(const struct msghdr *message)
{
	struct msghdr copy = *message;
	int before = errno;

	for (struct cmsghdr *at = CMSG_FIRSTHDR(&copy); at != NULL; at = CMSG_NXTHDR(&copy, at)) {
		size_t n = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(at) + i * sizeof fd, sizeof fd);
			settle(fd);
			label(fd);
		}
	}
	errno = before;
}

void label_all(void)
{
	int before = errno, left = LABELS_MAX;

	for (int fd = flow_next(0); fd != -1 && left-- > 0; fd = flow_next(fd + 1)) {
		settle(fd);
		label(fd);
	}
	errno = before;
}
