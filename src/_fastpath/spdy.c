#include "spdy.h"

#include <errno.h>
#include <string.h>

enum {
	CONTROL = 0x80, /* of the first byte */
	VERSION = 3,
	RST_STREAM = 3,
	PING = 6,
	GOAWAY = 7,
	LAST_TYPE = 10, /* CREDENTIAL */
	FLAG_FIN = 1,
	ERROR_STREAM = 1,
	DATA_STREAM = 3,
};

void spdy_init(struct spdy *spdy)
{
	*spdy = (struct spdy){0};
}

static bool is_control(const struct spdy *spdy)
{
	return (spdy->head[0] & CONTROL) != 0;
}

static unsigned control_type(const struct spdy *spdy)
{
	return is_control(spdy) ? (unsigned)(spdy->head[2] << 8 | spdy->head[3]) : 0;
}

static uint32_t number(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int start_frame(struct spdy *spdy)
{
	spdy->in_frame = true;
	spdy->left = number(spdy->head + 4) & SPDY_PAYLOAD_MAX;
	if (!is_control(spdy))
		return 0;
	if ((spdy->head[0] & ~CONTROL) != 0 || spdy->head[1] != VERSION)
		return -EPROTO;
	if (control_type(spdy) == 0 || control_type(spdy) > LAST_TYPE)
		return -EPROTO;
	return control_type(spdy) == PING && spdy->left != SPDY_PONG - SPDY_HEAD ? -EPROTO : 0;
}

static void end_frame(struct spdy *spdy)
{
	spdy->in_frame = false;
	spdy->head_len = 0;
	switch (control_type(spdy)) {
	case 0:
		if (number(spdy->head) == DATA_STREAM)
			spdy->closed = (spdy->head[4] & FLAG_FIN) != 0;
		else if (number(spdy->head) == ERROR_STREAM)
			spdy->closed = spdy->error_len > 0;
		break;
	case RST_STREAM: /* of either stream: without the other it is of no use */
	case GOAWAY:
		spdy->closed = true;
		break;
	case PING:
		spdy->pong_due = true;
		memcpy(spdy->pong, spdy->head, sizeof spdy->pong);
		break;
	default: /* SYN_REPLY, SETTINGS, HEADERS, WINDOW_UPDATE: nothing that we would do about it */
		break;
	}
}

static void take_error(struct spdy *spdy, const uint8_t *data, size_t len)
{
	size_t room = sizeof spdy->error - 1 - spdy->error_len;

	len = len < room ? len : room;
	memcpy(spdy->error + spdy->error_len, data, len);
	spdy->error_len += len;
}

/* A piece of a frame's payload; how many bytes of it went to `to`, which is not behind `data`. */
static size_t take_payload(struct spdy *spdy, const uint8_t *data, size_t len, uint8_t *to)
{
	if (control_type(spdy) == PING) {
		memcpy(spdy->head + sizeof spdy->head - spdy->left, data, len);
		return 0;
	}
	if (is_control(spdy))
		return 0;
	if (number(spdy->head) == ERROR_STREAM)
		take_error(spdy, data, len);
	if (number(spdy->head) != DATA_STREAM)
		return 0;
	memmove(to, data, len);
	return len;
}

ssize_t spdy_take(struct spdy *spdy, uint8_t *data, size_t len)
{
	size_t in = 0, out = 0;

	while (in < len && !spdy->closed) {
		size_t part = spdy->left;

		if (!spdy->in_frame) {
			spdy->head[spdy->head_len++] = data[in++];
			if (spdy->head_len < SPDY_HEAD)
				continue;
			if (start_frame(spdy) != 0)
				return -EPROTO;
			if (spdy->left == 0)
				end_frame(spdy);
			continue;
		}
		if (part > len - in)
			part = len - in;
		out += take_payload(spdy, data + in, part, data + out);
		in += part;
		spdy->left -= (uint32_t)part;
		if (spdy->left == 0)
			end_frame(spdy);
	}
	return (ssize_t)out;
}

void spdy_data(uint8_t head[SPDY_HEAD], size_t len)
{
	const uint8_t fields[SPDY_HEAD] = {0, 0, 0, DATA_STREAM, 0, (uint8_t)(len >> 16),
					   (uint8_t)(len >> 8), (uint8_t)len};

	memcpy(head, fields, sizeof fields);
}
