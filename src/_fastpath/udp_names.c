#include "udp_names.h"

#include <stdlib.h>
#include <string.h>

#include "cutter.h"
#include "resolver.h"
#include "udp.h"

/* CoreDNS gives cluster names 5 s to live (its kubernetes plugin's default); getaddrinfo(3) tells none.
 * As long again the old addresses serve while the new ones are asked for. */
static const uint64_t FRESH_US = 5 * 1000000u;

static void name_free(struct udp_name *name)
{
	struct udp_names *names = name->owner;

	if (name->lookup != NULL)
		name->lookup->done = NULL;
	names->waiting_bytes -= name->waiting.length;
	chain_clear(&name->waiting, &names->engine->pool);
	list_remove(&name->node);
	names->count--;
	engine_bury(names->engine, &name->grave);
}

void udp_names_open(struct udp_names *names, struct engine *engine)
{
	names->engine = engine;
	list_init(&names->names);
}

void udp_names_close(struct udp_names *names)
{
	while (!list_empty(&names->names))
		name_free(list_entry(names->names.next, struct udp_name, node));
}

/* The one longest unused that waits for nothing makes room. */
static bool make_room(struct udp_names *names)
{
	struct list *n = names->names.next;

	if (names->count < NAMES_MAX)
		return true;
	while (n != &names->names && list_entry(n, struct udp_name, node)->lookup != NULL)
		n = n->next;
	if (n == &names->names)
		return false;
	name_free(list_entry(n, struct udp_name, node));
	return true;
}

static struct udp_name *name_get(struct udp_names *names, const struct socks5_addr *to)
{
	struct udp_name *name;

	for (struct list *n = names->names.prev; n != &names->names; n = n->prev) {
		name = list_entry(n, struct udp_name, node);
		if (name->text_len == to->host_len && memcmp(name->text, to->host, to->host_len) == 0) {
			list_remove(&name->node);
			list_append(&names->names, &name->node);
			return name;
		}
	}
	name = make_room(names) ? calloc(1, sizeof *name) : NULL;
	if (name == NULL)
		return NULL;
	name->owner = names;
	name->text_len = to->host_len;
	memcpy(name->text, to->host, to->host_len);
	list_append(&names->names, &name->node);
	names->count++;
	return name;
}

/* What waited, in its order; each lies in the chain behind its length. */
static void deliver(struct udp_name *name)
{
	struct udp_names *names = name->owner;
	struct pool *pool = &names->engine->pool;
	struct chain waited = name->waiting;
	struct udp_batch *batch = udp_batch(names->engine);
	struct cutter cutter = {{0}};

	names->waiting_bytes -= waited.length;
	name->waiting = (struct chain){0};
	for (struct block *b = waited.head; b != NULL && batch != NULL; b = b->next) {
		const uint8_t *at = b->data + b->start;
		size_t left = b->end - b->start;

		while (left > 0) {
			struct cut cut;
			ssize_t eaten = cutter_take(&cutter, pool, at, left, batch->whole, &cut);

			if (eaten < 0)
				break;
			at += eaten;
			left -= (size_t)eaten;
			if (cut.message != NULL && name->n_addresses > 0)
				names->found(names, name, cut.message, cut.len);
			else if (cut.message != NULL)
				udp_count(names->engine, false);
		}
	}
	cutter_clear(&cutter, pool);
	chain_clear(&waited, pool);
}

static void resolved(struct lookup *lookup)
{
	struct udp_name *name = lookup->owner;

	name->lookup = NULL;
	name->found_us = name->owner->engine->now_us;
	name->n_addresses = 0;
	for (int i = 0; i < lookup->n_addresses && i < NAME_ADDRESSES_MAX; i++)
		name->addresses[name->n_addresses++] = lookup->addresses[i];
	deliver(name);
}

static void look_up(struct udp_name *name)
{
	struct lookup *lookup = lookup_new(name, resolved);

	if (lookup == NULL)
		return;
	memcpy(lookup->name, name->text, name->text_len);
	if (resolver_start(name->owner->engine->resolver, lookup) == 0)
		name->lookup = lookup;
}

/* Behind those that wait already. */
static bool keep(struct udp_name *name, const uint8_t *message, size_t len)
{
	struct udp_names *names = name->owner;
	struct pool *pool = &names->engine->pool;
	size_t before = name->waiting.length;
	uint8_t head[CUTTER_LENGTH];

	if (len > CUTTER_MESSAGE_MAX || names->waiting_bytes + sizeof head + len > NAMES_WAITING_MAX)
		return false;
	cutter_length(head, len);
	if (chain_append(&name->waiting, pool, head, sizeof head) == 0 &&
	    chain_append(&name->waiting, pool, message, len) == 0) {
		names->waiting_bytes += sizeof head + len;
		return true;
	}
	/* Half a message would spoil those before it, too. */
	names->waiting_bytes -= before;
	chain_clear(&name->waiting, pool);
	return false;
}

void udp_names_send(struct udp_names *names, const struct socks5_addr *to, const uint8_t *message,
		    size_t len)
{
	struct udp_name *name = name_get(names, to);
	uint64_t age = name == NULL ? 0 : names->engine->now_us - name->found_us;

	if (name == NULL) {
		udp_count(names->engine, false);
		return;
	}
	if (name->lookup == NULL && (name->n_addresses == 0 || age > FRESH_US))
		look_up(name);
	if (name->n_addresses > 0 && age <= 2 * FRESH_US && name->waiting.length == 0)
		names->found(names, name, message, len);
	else if (name->lookup == NULL || !keep(name, message, len))
		udp_count(names->engine, false);
}
