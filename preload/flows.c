#include "flows.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "facts.h"

/* 2^20 descriptors: /proc/sys/fs/nr_open as Linux has it. */
enum { CHUNK = 256, CHUNKS = 4096, WORDS = (sizeof(struct flow) + 7) / 8 };
enum { BUSY = 1, STATE_SHIFT = 1, STATE_MASK = 7 << STATE_SHIFT, TURN = 16 };

struct entry {
	_Atomic uint32_t head; /* BUSY, state, and above them a count of the changes */
	_Atomic uint64_t words[WORDS];
};

static _Atomic(struct entry *) chunks[CHUNKS];
static _Atomic int chunks_used; /* all from here on are NULL */
static _Atomic pid_t owner;
_Atomic int flows_unsettled;
_Atomic int flows_relayed;

void flows_adopt(void)
{
	atomic_store(&owner, getpid());
	/* Who was changing an entry is not there in the child of a fork(2). */
	for (int i = 0; i < atomic_load(&chunks_used); i++)
		for (int j = 0; chunks[i] != NULL && j < CHUNK; j++)
			atomic_fetch_and(&chunks[i][j].head, ~(uint32_t)BUSY);
}

bool flows_ours(void)
{
	return atomic_load(&owner) == getpid();
}

static struct entry *entry_at(int fd)
{
	struct entry *chunk;

	if (fd < 0 || fd >= CHUNK * CHUNKS)
		return NULL;
	chunk = atomic_load_explicit(&chunks[fd / CHUNK], memory_order_acquire);
	return chunk == NULL ? NULL : chunk + fd % CHUNK;
}

static struct entry *entry_make(int fd)
{
	struct entry *chunk, *none = NULL;

	if (fd < 0 || fd >= CHUNK * CHUNKS || entry_at(fd) != NULL)
		return entry_at(fd);
	/* Not malloc(): connect(2) may be called where that may not. */
	chunk = mmap(NULL, CHUNK * sizeof *chunk, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (chunk == MAP_FAILED)
		return NULL;
	if (!atomic_compare_exchange_strong(&chunks[fd / CHUNK], &none, chunk))
		munmap(chunk, CHUNK * sizeof *chunk);
	for (int used = 0; used <= fd / CHUNK;)
		if (atomic_compare_exchange_weak(&chunks_used, &used, fd / CHUNK + 1))
			break;
	return entry_at(fd);
}

static enum flow_state state_of(uint32_t head)
{
	return (enum flow_state)((head & STATE_MASK) >> STATE_SHIFT);
}

static int unsettled(enum flow_state state)
{
	return state == FLOW_PENDING || state == FLOW_FAILED;
}

static int relayed(enum flow_state state)
{
	return state == FLOW_RELAYED || state == FLOW_CONTROL;
}

static void load(const struct entry *entry, struct flow *out)
{
	uint64_t words[WORDS];

	for (int i = 0; i < WORDS; i++)
		words[i] = atomic_load_explicit(&entry->words[i], memory_order_relaxed);
	memcpy(out, words, sizeof *out);
}

enum flow_state flow_state(int fd)
{
	struct entry *entry = entry_at(fd);

	return entry == NULL ? FLOW_NONE
			     : state_of(atomic_load_explicit(&entry->head, memory_order_acquire));
}

bool flow_read(int fd, struct flow *out)
{
	struct entry *entry = entry_at(fd);
	uint32_t head;

	if (entry == NULL)
		return false;
	head = atomic_load_explicit(&entry->head, memory_order_acquire);
	if ((head & BUSY) != 0 || state_of(head) == FLOW_NONE)
		return false;
	load(entry, out);
	atomic_thread_fence(memory_order_acquire);
	if (atomic_load_explicit(&entry->head, memory_order_relaxed) != head)
		return false;
	return out->inode == facts_identity(fd);
}

/* On success the entry is BUSY and `*head` is what it was. */
static bool claim(struct entry *entry, uint32_t *head)
{
	*head = atomic_load_explicit(&entry->head, memory_order_relaxed);
	return (*head & BUSY) == 0 &&
	       atomic_compare_exchange_strong(&entry->head, head, *head | BUSY);
}

static void release(struct entry *entry, const struct flow *now)
{
	uint32_t head = atomic_load_explicit(&entry->head, memory_order_relaxed);
	uint64_t words[WORDS] = {0};

	atomic_thread_fence(memory_order_release);
	memcpy(words, now, sizeof *now);
	for (int i = 0; i < WORDS; i++)
		atomic_store_explicit(&entry->words[i], words[i], memory_order_relaxed);
	atomic_fetch_add(&flows_unsettled, unsettled((enum flow_state)now->state) -
						   unsettled(state_of(head)));
	atomic_fetch_add(&flows_relayed, relayed((enum flow_state)now->state) -
						 relayed(state_of(head)));
	head = (head & ~(uint32_t)(BUSY | STATE_MASK)) + TURN;
	head |= (uint32_t)now->state << STATE_SHIFT;
	atomic_store_explicit(&entry->head, head, memory_order_release);
}

bool flow_claim(int fd, struct flow *out)
{
	struct entry *entry = entry_at(fd);
	uint32_t head;

	if (entry == NULL || flow_state(fd) == FLOW_NONE || !flows_ours() || !claim(entry, &head))
		return false;
	load(entry, out);
	out->state = (uint8_t)state_of(head);
	if (out->state != FLOW_NONE && out->inode == facts_identity(fd))
		return true;
	out->state = FLOW_NONE;
	release(entry, out);
	return false;
}

void flow_release(int fd, const struct flow *now)
{
	release(entry_at(fd), now);
}

bool flow_put(int fd, struct flow *now)
{
	struct entry *entry;
	uint32_t head;

	now->inode = facts_identity(fd);
	if (now->inode == 0 || !flows_ours())
		return false;
	entry = entry_make(fd);
	if (entry == NULL || !claim(entry, &head))
		return false;
	release(entry, now);
	return true;
}

bool flow_pending(int fd)
{
	struct flow flow;

	if (flow_state(fd) != FLOW_PENDING)
		return false;
	if (flow_read(fd, &flow))
		return flow.state == FLOW_PENDING;
	if (flow_claim(fd, &flow)) /* clears what is not believable */
		flow_release(fd, &flow);
	return false;
}

void flow_drop(int fd)
{
	static const struct flow nothing;
	struct entry *entry = entry_at(fd);
	uint32_t head;

	if (entry != NULL && flow_state(fd) != FLOW_NONE && flows_ours() && claim(entry, &head))
		release(entry, &nothing);
}

int flow_next(int fd)
{
	for (; fd >= 0 && fd < CHUNK * CHUNKS; fd++) {
		if (entry_at(fd) == NULL)
			fd |= CHUNK - 1;
		else if (flow_state(fd) != FLOW_NONE)
			return fd;
	}
	return -1;
}
