/* A message of sendmsg(2) and its kin in the memory of the thread that waits.
 *
 * Called by: sending.c, receiving.c.
 * Owns: nothing.  Never: reads it twice for what it has judged by the first reading. */
#ifndef TELEPRESENCE_SUPERVISOR_MESSAGE_H
#define TELEPRESENCE_SUPERVISOR_MESSAGE_H

#include <sys/socket.h>
#include <sys/uio.h>

#include "notify.h"

enum { MESSAGE_PARTS_MAX = 1024, MESSAGE_CONTROL_MAX = 1024 }; /* UIO_MAXIOV of Linux */

/* Addresses in that thread's memory; 0: not given. */
struct message {
	pid_t thread;
	uint64_t head; /* the struct msghdr; 0 for sendto(2) and recvfrom(2) */
	uint64_t name, name_len_at, control;
	socklen_t name_len; /* of sending: its length; of receiving: the room for it */
	size_t control_len, n_parts;
	struct iovec parts[MESSAGE_PARTS_MAX];
};

/* Of sendto(2) and recvfrom(2), which have the same arguments but the last: 0 or -errno. */
int message_of_call(const struct call *call, struct message *out);
/* Of a struct msghdr there: 0 or -errno. */
int message_read(pid_t thread, uint64_t head, struct message *out);
/* How many bytes its parts are. */
size_t message_size(const struct message *message);

/* Its bytes: how many, or -EMSGSIZE, -EFAULT. */
ssize_t message_gather(const struct message *message, void *to, size_t room);
/* Each: 0 or -errno. */
int message_scatter(const struct message *message, const void *from, size_t len);
int message_get_control(const struct message *message, void *to);
int message_set_name(const struct message *message, const void *name, socklen_t len);
/* What recvmsg(2) says beside the bytes; without effect for recvfrom(2). */
int message_set_rest(const struct message *message, const void *control, size_t len, int flags);
/* Of a struct mmsghdr. */
int message_set_len(const struct message *message, unsigned len);

#endif
