#include "notify.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/ioctl.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, uint64_t)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

void notify_take_turns(int listener)
{
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
}

int notify_receive(int listener, struct call *out)
{
	struct seccomp_notif heard;

	memset(&heard, 0, sizeof heard); /* the kernel insists */
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &heard) == -1)
		return errno == ENOENT || errno == EINTR ? 0 : -errno;
	*out = (struct call){.id = heard.id, .thread = (pid_t)heard.pid, .number = heard.data.nr};
	memcpy(out->args, heard.data.args, sizeof out->args);
	return 1;
}

bool notify_alive(int listener, uint64_t id)
{
	return ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

static bool answer(int listener, struct seccomp_notif_resp *said)
{
	while (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, said) == -1)
		if (errno != EINTR)
			return false;
	return true;
}

bool notify_answer(int listener, uint64_t id, int64_t result)
{
	struct seccomp_notif_resp said = {.id = id, .val = result};

	if (result < 0)
		said = (struct seccomp_notif_resp){.id = id, .error = (int32_t)result};
	return answer(listener, &said);
}

bool notify_continue(int listener, uint64_t id)
{
	struct seccomp_notif_resp said = {.id = id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

	return answer(listener, &said);
}
