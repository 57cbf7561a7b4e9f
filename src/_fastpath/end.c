#include "end.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tunnel.h"

struct end *end_new(struct tunnel *tunnel, struct mux_stream *stream, const struct end_kind *kind)
{
	struct end *end = calloc(1, kind->size);

	if (end == NULL) {
		mux_reset(&tunnel->mux, stream);
		mux_release(&tunnel->mux, stream);
		return NULL;
	}
	end->tunnel = tunnel;
	end->stream = stream;
	end->kind = kind;
	end->task.run = kind->run;
	list_init(&end->task.node);
	list_init(&end->waiting);
	list_append(&tunnel->ends, &end->node);
	stream->owner = end;
	return end;
}

struct end *end_open(struct tunnel *tunnel, const struct end_kind *kind)
{
	struct mux_stream *stream = mux_open(&tunnel->mux, NULL);

	return stream == NULL ? NULL : end_new(tunnel, stream, kind);
}

int end_send(struct end *end, const uint8_t *data, size_t len)
{
	struct tunnel *tunnel = end->tunnel;
	size_t room;
	uint8_t *to;

	if (len > end->stream->send_window)
		return -ENOBUFS;
	to = outbox_reserve(&tunnel->out, &tunnel->engine->pool, FRAME_HEADER + len, &room);
	if (to == NULL)
		return -ENOMEM;
	mux_data(end->stream, to, (uint32_t)len);
	memcpy(to + FRAME_HEADER, data, len);
	outbox_commit(&tunnel->out, FRAME_HEADER + len);
	return 0;
}

int end_reply(struct end *end, uint8_t code, const struct socks5_addr *addr)
{
	uint8_t reply[SOCKS5_REPLY_MAX];

	return end_send(end, reply, (size_t)socks5_make_reply(reply, sizeof reply, code, addr));
}

void end_consumed(struct end *end, size_t len)
{
	struct tunnel *tunnel = end->tunnel;

	mux_consumed(&tunnel->mux, end->stream, (uint32_t)len, tunnel->engine->now_us);
}

struct mux_stream *end_leave(struct end *end)
{
	struct mux_stream *stream = end->stream;

	list_remove(&end->node);
	list_remove(&end->waiting);
	list_remove(&end->task.node);
	end->stream = NULL;
	engine_bury(end->tunnel->engine, &end->grave);
	return stream;
}

void end_free(struct end *end)
{
	mux_release(&end->tunnel->mux, end_leave(end));
}

void end_fin(struct end *end)
{
	mux_fin(&end->tunnel->mux, end->stream);
	end_free(end);
}

void end_reset(struct end *end)
{
	mux_reset(&end->tunnel->mux, end->stream);
	end->tunnel->engine->counters.streams_reset++;
	end_free(end);
}

void end_refuse(struct end *end, uint8_t code)
{
	(void)end_reply(end, code, NULL);
	end_fin(end);
}
