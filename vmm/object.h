/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Objects of -object: back ends that devices name by id.
 *
 * Locking: machine_lock.
 */
#ifndef VMM_OBJECT_H
#define VMM_OBJECT_H

#include "lib/types.h"

struct buf;
struct err;
struct machine;
struct object;

/* From "type,id=ID[,property=value...]", as -object gives it. */
int object_create_text(struct machine *m, const char *text, struct err *err);
/* -ENOENT, -EBUSY. */
int object_delete(struct machine *m, const char *id, struct err *err);
/* After the devices. */
void object_destroy_all(struct machine *m);
const char *object_type_name(int n); /* NULL behind the last */
/* The id of the n-th object; NULL behind the last. */
const char *object_id(const struct machine *m, int n);
/* Answers "help" and "TYPE,help"; false: the text asks for no help. */
bool object_help(const char *text, struct buf *out);

/* The source of random numbers called `id`, which is in use until
 * object_put(); or NULL. */
struct object *object_find_rng(struct machine *m, const char *id,
			       struct err *err);
void object_put(struct object *o); /* no longer used; NULL is fine */
/* How many bytes it gave, without waiting for more. */
size_t object_rng_read(struct object *o, void *dst, size_t len);

#endif
