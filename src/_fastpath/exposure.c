#include "exposure.h"

#include <errno.h>
#include <string.h>

#include "tunnel.h"

static void tell(const struct exposure *exposure, enum event_kind kind, int error)
{
	struct engine_event *event = engine_event(exposure->end.tunnel->engine, kind);

	if (event == NULL)
		return;
	event->tunnel = exposure->end.tunnel->number;
	event->listener = exposure->number;
	event->port = exposure->pod_port;
	event->error = error;
}

static void exposure_leave(struct exposure *exposure, int error)
{
	list_remove(&exposure->exposures);
	tell(exposure, EVENT_LISTENING, error);
}

static void exposure_fin(struct end *end)
{
	exposure_leave((struct exposure *)end, ECONNRESET);
	end_fin(end);
}

static void exposure_reset(struct end *end)
{
	exposure_leave((struct exposure *)end, ECONNRESET);
	end_reset(end);
}

/* The reply, after which nothing comes. */
static void exposure_data(struct end *end, const uint8_t *data, size_t len)
{
	struct exposure *exposure = (struct exposure *)end;
	size_t part = sizeof exposure->head - exposure->len;
	struct socks5_answer answer;
	ssize_t eaten;

	end_consumed(end, len);
	if (exposure->listening)
		return;
	if (part > len)
		part = len;
	memcpy(exposure->head + exposure->len, data, part);
	exposure->len += part;
	eaten = socks5_take_answer(exposure->head, exposure->len, &answer);
	if (eaten == 0)
		return;
	if (eaten < 0 || answer.code != SOCKS5_SUCCEEDED) {
		exposure_leave(exposure, eaten < 0 ? EPROTO : socks5_errno_from_reply(answer.code));
		end_fin(end);
		return;
	}
	exposure->listening = true;
	exposure->pod_port = answer.addr.port; /* the one that was found, for 0 */
	tell(exposure, EVENT_LISTENING, 0);
}

static void exposure_run(struct task *task)
{
	(void)task;
}

static const struct end_kind exposure_kind = {
	.size = sizeof(struct exposure),
	.data = exposure_data,
	.fin = exposure_fin,
	.reset = exposure_reset,
	.run = exposure_run,
};

int64_t exposure_open(struct tunnel *tunnel, uint16_t pod_port, uint16_t laptop_port)
{
	const struct socks5_addr anywhere = {.atyp = SOCKS5_IPV4, .host_len = 4, .port = pod_port};
	uint8_t head[SOCKS5_REQUEST_MAX];
	ssize_t len = socks5_make_request(head, sizeof head, SOCKS5_LISTEN, &anywhere);
	struct exposure *exposure;
	int rc;

	if (tunnel->broken)
		return -EPIPE;
	exposure = (struct exposure *)end_open(tunnel, &exposure_kind);
	if (exposure == NULL)
		return -ENOMEM;
	rc = end_send(&exposure->end, head, (size_t)len);
	if (rc != 0) {
		end_free(&exposure->end);
		return rc;
	}
	exposure->pod_port = pod_port;
	exposure->laptop_port = laptop_port;
	exposure->number = ++tunnel->engine->numbers;
	list_append(&tunnel->exposures, &exposure->exposures);
	tunnel->engine->counters.streams_opened++;
	return (int64_t)exposure->number;
}

void exposure_close(struct tunnel *tunnel, uint64_t number)
{
	for (struct list *n = tunnel->exposures.next; n != &tunnel->exposures; n = n->next) {
		struct exposure *exposure = list_entry(n, struct exposure, exposures);

		if (exposure->number == number) {
			list_remove(&exposure->exposures);
			end_fin(&exposure->end);
			return;
		}
	}
}

struct exposure *exposure_of(struct tunnel *tunnel, uint16_t pod_port)
{
	for (struct list *n = tunnel->exposures.next; n != &tunnel->exposures; n = n->next) {
		struct exposure *exposure = list_entry(n, struct exposure, exposures);

		if (exposure->pod_port == pod_port)
			return exposure;
	}
	return NULL;
}

void exposure_addresses(const struct exposure *exposure, struct request_job *job)
{
	static const struct in6_addr loopback = IN6ADDR_LOOPBACK_INIT;

	memset(job->addresses, 0, sizeof job->addresses);
	job->addresses[0].v4.sin_family = AF_INET;
	job->addresses[0].v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	job->addresses[1].v6.sin6_family = AF_INET6;
	job->addresses[1].v6.sin6_addr = loopback;
	job->n_addresses = 2;
	job->request.addr.port = exposure->laptop_port;
}

void exposure_refused(struct tunnel *tunnel, uint16_t pod_port, int error)
{
	struct exposure *exposure = exposure_of(tunnel, pod_port);
	struct list *events = &tunnel->engine->events;

	if (exposure == NULL)
		return;
	for (struct list *n = events->next; n != events; n = n->next) {
		const struct engine_event *event = list_entry(n, struct engine_event, node);

		if (event->kind == EVENT_DIAL_REFUSED && event->listener == exposure->number)
			return;
	}
	tell(exposure, EVENT_DIAL_REFUSED, error);
}
