#include "opening.h"

#include <string.h>

#include "end.h"
#include "exposure.h"
#include "join.h"
#include "link.h"
#include "listener.h"
#include "tunnel.h"
#include "udp_stream.h"

struct opening {
	struct end end; /* first */
	size_t len;
	uint8_t head[SOCKS5_REQUEST_MAX];
};

/* The one who carries the request out, or NULL when the stream is gone already. */
static struct end *hand_over(struct end *end, const struct socks5_request *request)
{
	struct tunnel *tunnel = end->tunnel;

	if (!tunnel->agent &&
	    (request->cmd != SOCKS5_CONNECT || exposure_of(tunnel, request->addr.port) == NULL)) {
		end_reset(end);
		return NULL;
	}
	switch (request->cmd) {
	case SOCKS5_LISTEN:
		return listener_serve(tunnel, end_leave(end), request);
	case SOCKS5_UDP_ASSOCIATE:
		return udp_stream_serve(tunnel, end_leave(end));
	case SOCKS5_CONNECT:
	case SOCKS5_RESOLVE:
	case SOCKS5_RESOLVE_PTR:
	case SOCKS5_SERVICE:
		return link_serve(tunnel, end_leave(end), request);
	default:
		end_refuse(end, SOCKS5_BAD_COMMAND);
		return NULL;
	}
}

static void opening_data(struct end *end, const uint8_t *data, size_t len)
{
	struct opening *opening = (struct opening *)end;
	struct socks5_request request;
	size_t before = opening->len;
	size_t part = sizeof opening->head - before;
	ssize_t eaten;

	if (part > len)
		part = len;
	memcpy(opening->head + before, data, part);
	opening->len += part;
	eaten = socks5_take_request(opening->head, opening->len, &request);
	if (eaten < 0) {
		end_refuse(end, socks5_reply_for(opening->head, opening->len));
		return;
	}
	if (eaten > 0)
		part = (size_t)eaten - before;
	end_consumed(end, part);
	if (eaten == 0)
		return; /* the longest request fits: all of `data` has been taken */
	end = hand_over(end, &request);
	if (end != NULL && len > part)
		end->kind->data(end, data + part, len - part);
}

static void opening_run(struct task *task)
{
	(void)task;
}

static const struct end_kind opening_kind = {
	.size = sizeof(struct opening),
	.data = opening_data,
	.fin = end_reset, /* within the request */
	.reset = end_reset,
	.run = opening_run,
};

void opening_accept(struct tunnel *tunnel, struct mux_stream *stream)
{
	if (tunnel->onward != NULL)
		join_accept(tunnel, stream);
	else if (end_new(tunnel, stream, &opening_kind) != NULL)
		tunnel->engine->counters.streams_accepted++;
}
