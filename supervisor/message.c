#include "message.h"

#include <errno.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "caller.h"

static uint64_t address_of(const void *there)
{
	return (uintptr_t)there;
}

int message_of_call(const struct call *call, struct message *out)
{
	bool receives = call->number == SYS_recvfrom;
	uint32_t room = 0;
	int rc = 0;

	out->thread = call->thread;
	out->head = out->control = 0;
	out->control_len = 0;
	out->name = call->args[4];
	out->name_len_at = receives ? call->args[5] : 0;
	out->name_len = (socklen_t)call->args[5];
	out->n_parts = 1;
	out->parts[0] = (struct iovec){(void *)(uintptr_t)call->args[1], call->args[2]};
	if (receives && out->name != 0) {
		rc = caller_read(call->thread, call->args[5], &room, sizeof room);
		out->name_len = room;
	}
	return rc;
}

int message_read(pid_t thread, uint64_t head, struct message *out)
{
	struct msghdr there;
	int rc = caller_read(thread, head, &there, sizeof there);

	if (rc != 0)
		return rc;
	if (there.msg_iovlen > MESSAGE_PARTS_MAX)
		return -EMSGSIZE;
	out->thread = thread;
	out->head = head;
	out->name = address_of(there.msg_name);
	out->name_len = there.msg_namelen;
	out->name_len_at = head + offsetof(struct msghdr, msg_namelen);
	out->control = address_of(there.msg_control);
	out->control_len = there.msg_controllen;
	out->n_parts = there.msg_iovlen;
	return caller_read(thread, address_of(there.msg_iov), out->parts,
			   out->n_parts * sizeof *out->parts);
}

size_t message_size(const struct message *message)
{
	size_t size = 0;

	for (size_t i = 0; i < message->n_parts; i++)
		if (__builtin_add_overflow(size, message->parts[i].iov_len, &size))
			return SIZE_MAX;
	return size;
}

ssize_t message_gather(const struct message *message, void *to, size_t room)
{
	size_t size = message_size(message);
	struct iovec here = {to, size};
	ssize_t n;

	if (size > room)
		return -EMSGSIZE;
	n = size == 0 ? 0
		      : process_vm_readv(message->thread, &here, 1, message->parts,
					 message->n_parts, 0);
	if (n == -1)
		return -errno;
	return (size_t)n == size ? n : -EFAULT;
}

int message_scatter(const struct message *message, const void *from, size_t len)
{
	struct iovec here = {(void *)(uintptr_t)from, len};
	ssize_t n = len == 0 ? 0
			     : process_vm_writev(message->thread, &here, 1, message->parts,
						 message->n_parts, 0);

	if (n == -1)
		return -errno;
	return (size_t)n == len ? 0 : -EFAULT;
}

int message_get_control(const struct message *message, void *to)
{
	return caller_read(message->thread, message->control, to, message->control_len);
}

int message_set_name(const struct message *message, const void *name, socklen_t len)
{
	socklen_t fits = len < message->name_len ? len : message->name_len;
	int rc;

	if (message->name == 0)
		return 0;
	rc = caller_write(message->thread, message->name, name, fits);
	return rc != 0 ? rc
		       : caller_write(message->thread, message->name_len_at, &len, sizeof len);
}

int message_set_rest(const struct message *message, const void *control, size_t len, int flags)
{
	const uint64_t head = message->head;
	int rc;

	if (head == 0)
		return 0;
	rc = caller_write(message->thread, message->control, control, len);
	if (rc == 0)
		rc = caller_write(message->thread, head + offsetof(struct msghdr, msg_controllen),
				  &len, sizeof len);
	if (rc == 0)
		rc = caller_write(message->thread, head + offsetof(struct msghdr, msg_flags), &flags,
				  sizeof flags);
	return rc;
}

int message_set_len(const struct message *message, unsigned len)
{
	return caller_write(message->thread, message->head + offsetof(struct mmsghdr, msg_len), &len,
			    sizeof len);
}
