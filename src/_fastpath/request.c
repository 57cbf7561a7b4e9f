#include "request.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nameserver.h"

static void dial_next(struct request_job *job);

static void finish(struct request_job *job, uint8_t code, const struct socks5_addr *addr)
{
	int fd = job->item.fd;

	list_remove(&job->timer.node);
	if (code != SOCKS5_SUCCEEDED) {
		if (fd != -1)
			close(fd);
		fd = -1;
		job->engine->counters.dials_failed++;
	}
	job->item.fd = -1;
	job->done(job, code, addr, fd);
}

static void connected(struct request_job *job)
{
	union address bound;
	struct socks5_addr addr;
	socklen_t len = sizeof bound;

	memset(&bound, 0, sizeof bound);
	(void)getsockname(job->item.fd, &bound.any, &len);
	address_to_socks(&addr, &bound);
	finish(job, SOCKS5_SUCCEEDED, &addr);
}

static void dial_failed(struct request_job *job, int error)
{
	if (job->error != ECONNREFUSED) /* which tells more than what the next address may say */
		job->error = error;
	list_remove(&job->timer.node);
	if (job->item.fd != -1) {
		close(job->item.fd);
		job->item.fd = -1;
	}
	dial_next(job);
}

static void dial_ready(struct poll_item *item, unsigned events)
{
	struct request_job *job = list_entry(item, struct request_job, item);
	int error = 0;
	socklen_t len = sizeof error;

	if ((events & POLL_WRITE) == 0)
		return;
	if (getsockopt(item->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1)
		error = errno;
	if (error != 0) {
		dial_failed(job, error);
		return;
	}
	connected(job);
}

static void dial_expired(struct timer *timer)
{
	dial_failed(list_entry(timer, struct request_job, timer), ETIMEDOUT);
}

static int dial(struct request_job *job, union address *addr)
{
	int rc;

	address_set_port(addr, job->request.addr.port);
	rc = socket_open(addr->any.sa_family);
	if (rc < 0)
		return rc;
	job->item.fd = rc;
	if (connect(job->item.fd, &addr->any, address_len(addr)) == -1 && errno != EINPROGRESS)
		return -errno;
	return poller_add(job->engine->poller, &job->item);
}

static void dial_next(struct request_job *job)
{
	while (job->next_address < job->n_addresses) {
		int rc = dial(job, &job->addresses[job->next_address++]);

		if (rc == 0) {
			engine_timer(job->engine, &job->timer, TIMER_DIAL);
			return; /* dial_ready() follows, also for a connect that was over at once */
		}
		if (job->error != ECONNREFUSED)
			job->error = -rc;
		if (job->item.fd != -1)
			close(job->item.fd);
		job->item.fd = -1;
	}
	finish(job, socks5_reply_from_errno(job->error), NULL);
}

static uint8_t reply_from_eai(int status)
{
	return status == EAI_NONAME || status == EAI_NODATA ? SOCKS5_HOST_UNREACHABLE
							     : SOCKS5_GENERAL_FAILURE;
}

static bool wanted(const struct request_job *job, const union address *address)
{
	int family = job->request.addr.port == SOCKS5_WANT_IPV4	  ? AF_INET
		     : job->request.addr.port == SOCKS5_WANT_IPV6 ? AF_INET6
								  : address->any.sa_family;

	return address->any.sa_family == family;
}

/* Tor's RESOLVE has room for one address: IPv4 when there is one, as most clients can use that.
 * A client that says which it wants gets all of them (socks5.h). */
static void answer_forward(struct request_job *job, const struct lookup *lookup)
{
	const uint16_t port = job->request.addr.port;
	const bool all = port == SOCKS5_WANT_IPV4 || port == SOCKS5_WANT_IPV6 ||
			 port == SOCKS5_WANT_ALL;
	struct socks5_addr addr;
	int first = 0;

	for (int i = 0; i < lookup->n_addresses; i++)
		if (wanted(job, &lookup->addresses[i]))
			job->addresses[job->n_addresses++] = lookup->addresses[i];
	if (job->n_addresses == 0) { /* the name exists: any address says so */
		job->addresses[job->n_addresses++] = lookup->addresses[0];
	} else if (!all) {
		while (first < job->n_addresses - 1 &&
		       job->addresses[first].any.sa_family != AF_INET)
			first++;
		if (job->addresses[first].any.sa_family != AF_INET)
			first = 0;
		job->addresses[0] = job->addresses[first];
		job->n_addresses = 1;
	}
	(void)request_next(job, &addr);
	finish(job, SOCKS5_SUCCEEDED, &addr);
}

bool request_next(struct request_job *job, struct socks5_addr *out)
{
	if (job->request.cmd != SOCKS5_RESOLVE || job->next_address >= job->n_addresses)
		return false;
	address_to_socks(out, &job->addresses[job->next_address++]);
	return true;
}

static void answer_reverse(struct request_job *job, const struct lookup *lookup)
{
	struct socks5_addr addr = {.atyp = SOCKS5_DOMAIN};
	size_t len = strlen(lookup->name);

	if (len == 0 || len > 255) {
		finish(job, SOCKS5_GENERAL_FAILURE, NULL);
		return;
	}
	addr.host_len = (uint8_t)len;
	memcpy(addr.host, lookup->name, len + 1);
	finish(job, SOCKS5_SUCCEEDED, &addr);
}

static void resolved(struct lookup *lookup)
{
	struct request_job *job = lookup->owner;

	job->lookup = NULL;
	if (lookup->status != 0 || (!lookup->reverse && lookup->n_addresses == 0)) {
		finish(job, reply_from_eai(lookup->status), NULL);
	} else if (lookup->reverse) {
		answer_reverse(job, lookup);
	} else if (job->request.cmd == SOCKS5_RESOLVE) {
		answer_forward(job, lookup);
	} else {
		job->n_addresses = lookup->n_addresses;
		memcpy(job->addresses, lookup->addresses, sizeof job->addresses);
		dial_next(job);
	}
}

static void look_up(struct request_job *job, bool reverse)
{
	struct lookup *lookup = lookup_new(job, resolved);

	if (lookup == NULL) {
		finish(job, SOCKS5_GENERAL_FAILURE, NULL);
		return;
	}
	lookup->reverse = reverse;
	if (reverse)
		address_from_socks(&lookup->addresses[0], &job->request.addr);
	else
		memcpy(lookup->name, job->request.addr.host, job->request.addr.host_len);
	if (resolver_start(job->engine->resolver, lookup) != 0) {
		finish(job, SOCKS5_GENERAL_FAILURE, NULL);
		return;
	}
	job->lookup = lookup;
}

static void prepare(struct request_job *job)
{
	job->lookup = NULL;
	job->item = (struct poll_item){-1, dial_ready};
	job->timer.expired = dial_expired;
	list_init(&job->timer.node);
	job->next_address = 0;
	job->error = EADDRNOTAVAIL;
}

void request_dial(struct request_job *job)
{
	prepare(job);
	dial_next(job);
}

void request_start(struct request_job *job)
{
	const struct socks5_addr *addr = &job->request.addr;
	bool named = addr->atyp == SOCKS5_DOMAIN;

	prepare(job);
	job->n_addresses = 0;
	switch (job->request.cmd) {
	case SOCKS5_CONNECT:
		if (named) {
			look_up(job, false);
			return;
		}
		if (nameserver_meant(addr))
			nameserver_find(&job->addresses[0]);
		else
			address_from_socks(&job->addresses[0], addr);
		job->n_addresses = 1;
		dial_next(job);
		return;
	case SOCKS5_RESOLVE:
		if (named)
			look_up(job, false);
		else /* an address is its own answer, as Tor has it */
			finish(job, SOCKS5_SUCCEEDED, addr);
		return;
	case SOCKS5_RESOLVE_PTR:
		if (named)
			finish(job, SOCKS5_BAD_ATYP, NULL);
		else
			look_up(job, true);
		return;
	default:
		finish(job, SOCKS5_BAD_COMMAND, NULL);
	}
}

void request_cancel(struct request_job *job)
{
	if (job->engine == NULL)
		return;
	if (job->lookup != NULL)
		job->lookup->done = NULL;
	job->lookup = NULL;
	list_remove(&job->timer.node);
	if (job->item.fd != -1)
		close(job->item.fd);
	job->item.fd = -1;
}
