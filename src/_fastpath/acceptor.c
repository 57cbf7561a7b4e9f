#include "acceptor.h"

#include <errno.h>
#include <unistd.h>

enum { ACCEPTS_A_TURN = 64 };

void acceptor_retry(struct acceptor *acceptor)
{
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		int fd = socket_accept(acceptor->item.fd);

		if (fd >= 0) {
			acceptor->accepted(acceptor, fd);
			continue;
		}
		if (fd == -EINTR || fd == -ECONNABORTED)
			continue;
		/* Out of descriptors or memory: the edge is gone, so come back by the clock. */
		if (fd != -EAGAIN && list_empty(&acceptor->starved))
			list_append(&acceptor->engine->starved, &acceptor->starved);
		return;
	}
	engine_task(acceptor->engine, &acceptor->task);
}

static void acceptor_run(struct task *task)
{
	acceptor_retry(list_entry(task, struct acceptor, task));
}

static void acceptor_ready(struct poll_item *item, unsigned events)
{
	(void)events;
	acceptor_retry(list_entry(item, struct acceptor, item));
}

int acceptor_open(struct acceptor *acceptor, struct engine *engine, int listener,
		  void (*accepted)(struct acceptor *acceptor, int fd))
{
	int rc = socket_prepare(listener);

	acceptor->engine = engine;
	acceptor->accepted = accepted;
	acceptor->item = (struct poll_item){listener, acceptor_ready};
	acceptor->task.run = acceptor_run;
	list_init(&acceptor->task.node);
	list_init(&acceptor->starved);
	return rc != 0 ? rc : poller_add(engine->poller, &acceptor->item);
}

void acceptor_close(struct acceptor *acceptor)
{
	close(acceptor->item.fd);
	acceptor->item.fd = -1;
	list_remove(&acceptor->starved);
	list_remove(&acceptor->task.node);
}
