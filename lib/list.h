/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Intrusive doubly linked list.  A list head and a node are the same type;
 * an unlinked node points to itself, so list_remove() may be repeated.
 */
#ifndef LIB_LIST_H
#define LIB_LIST_H

#include "lib/types.h"

struct list {
	struct list *next, *prev;
};

#define LIST_INIT(name) { &(name), &(name) }

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_insert(struct list *after, struct list *node)
{
	node->next = after->next;
	node->prev = after;
	after->next->prev = node;
	after->next = node;
}

static inline void list_append(struct list *head, struct list *node)
{
	list_insert(head->prev, node);
}

static inline void list_remove(struct list *node)
{
	node->next->prev = node->prev;
	node->prev->next = node->next;
	list_init(node);
}

#define list_entry(node, type, member) container_of(node, type, member)

#define list_first(head, type, member) \
	(list_empty(head) ? NULL : list_entry((head)->next, type, member))

#define list_for_each(pos, head, member)                                   \
	for (pos = list_entry((head)->next, __typeof__(*pos), member);     \
	     &pos->member != (head);                                       \
	     pos = list_entry(pos->member.next, __typeof__(*pos), member))

#define list_for_each_safe(pos, tmp, head, member)                         \
	for (pos = list_entry((head)->next, __typeof__(*pos), member),     \
	    tmp = list_entry(pos->member.next, __typeof__(*pos), member);  \
	     &pos->member != (head);                                       \
	     pos = tmp,                                                    \
	    tmp = list_entry(tmp->member.next, __typeof__(*tmp), member))

#endif
