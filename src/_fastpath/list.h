/* Intrusive doubly-linked list; an element that is in no list is linked to itself.
 *
 * Called by: every part of the engine.  Owns: nothing.  Never: allocates. */
#ifndef TELEPRESENCE_LIST_H
#define TELEPRESENCE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

#define list_entry(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void list_init(struct list *node)
{
	node->prev = node->next = node;
}

static inline bool list_empty(const struct list *node)
{
	return node->next == node;
}

static inline void list_append(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

/* Accepts an element that is in no list. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* The first element, taken out, or NULL. */
static inline struct list *list_shift(struct list *head)
{
	struct list *node = head->next;

	if (node == head)
		return NULL;
	list_remove(node);
	return node;
}

#endif
