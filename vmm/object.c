/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Objects of -object: the table of types, creation, and what they do.
 */
#include "vmm/object.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/list.h"
#include "lib/lock.h"
#include "lib/opt.h"
#include "vmm/machine.h"

enum object_kind { OBJECT_RNG };

struct object_class {
	const char *name, *desc;
	enum object_kind kind;
	const struct option_row *options;
	int (*init)(struct object *o, struct err *err); /* may be NULL */
};

struct object {
	const struct object_class *class;
	char *id; /* owned */
	struct list node;
	int users; /* devices */
	/* rng-random */
	char *filename; /* owned */
	int fd;         /* -1: the kernel's generator */
};

/* ---- Types ---- */

static int object_rng_open(struct object *o, struct err *err)
{
	o->fd = open(o->filename, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (o->fd < 0)
		return err_errno(err, "Could not open '%s'", o->filename);
	return 0;
}

static const struct option_row object_no_options[] = { OPTION_END };

static const struct option_row object_rng_options[] = {
	{ "filename", &opt_str, offsetof(struct object, filename),
	  "/dev/urandom", "where the random bytes come from", NULL },
	OPTION_END,
};

static const struct object_class object_classes[] = {
	{ "rng-builtin", "random numbers of the host's kernel", OBJECT_RNG,
	  object_no_options, NULL },
	{ "rng-random", "random numbers from a file or device", OBJECT_RNG,
	  object_rng_options, object_rng_open },
};

/* What command lines for QEMU name that has no counterpart here. */
static const struct {
	const char *prefix, *why;
} object_absent[] = {
	{ "iothread", "disks need no thread of their own; leave it out" },
	{ "memory-backend-", "guest RAM is what -m says; leave it out" },
	{ "rng-egd", "use rng-random or rng-builtin" },
	{ "secret", "encrypted images are not supported" },
	{ "throttle-group", "limit vmon with a cgroup (io.max)" },
	{ "tls-", "TLS is not supported" },
};

const char *object_type_name(int n)
{
	return n < (int)ARRAY_SIZE(object_classes) ? object_classes[n].name
						   : NULL;
}

const char *object_id(const struct machine *m, int n)
{
	struct object *o;

	list_for_each (o, &m->objects, node)
		if (!n--)
			return o->id;
	return NULL;
}

static const struct object_class *object_class_find(const char *name,
						    size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(object_classes); i++)
		if (strlen(object_classes[i].name) == len &&
		    !strncmp(object_classes[i].name, name, len))
			return &object_classes[i];
	return NULL;
}

static int object_unknown(const char *type, struct err *err)
{
	struct buf names = { 0 };
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(object_absent); i++)
		if (!strncmp(type, object_absent[i].prefix,
			     strlen(object_absent[i].prefix)))
			return err_set(err, -ENOTSUP,
				       "object type '%s' is not supported: %s",
				       type, object_absent[i].why);
	for (size_t i = 0; i < ARRAY_SIZE(object_classes); i++)
		buf_printf(&names, "%s%s", i ? ", " : "",
			   object_classes[i].name);
	r = err_set(err, -EINVAL,
		    "Parameter 'qom-type' does not accept value '%s'; "
		    "accepted: %s",
		    type, buf_str(&names));
	buf_fini(&names);
	return r;
}

bool object_help(const char *text, struct buf *out)
{
	const struct object_class *class;
	const char *comma = strchr(text, ',');

	if (!strcmp(text, "help") || !strcmp(text, "?")) {
		buf_puts(out, "List of user creatable objects:\n");
		for (size_t i = 0; i < ARRAY_SIZE(object_classes); i++)
			buf_printf(out, "  %s\n", object_classes[i].name);
		return true;
	}
	if (!comma || (strcmp(comma, ",help") && strcmp(comma, ",?")))
		return false;
	class = object_class_find(text, comma - text);
	if (!class)
		return false;
	buf_printf(out, "%s options (%s):\n", class->name, class->desc);
	opt_rows_help(class->options, out);
	return true;
}

/* ---- Life ---- */

static struct object *object_find(struct machine *m, const char *id)
{
	struct object *o;

	list_for_each (o, &m->objects, node)
		if (!strcmp(o->id, id))
			return o;
	return NULL;
}

static void object_destroy(struct object *o)
{
	list_remove(&o->node);
	if (o->fd >= 0)
		close(o->fd);
	opt_rows_fini(o->class->options, o);
	free(o->id);
	free(o);
}

static int object_create(struct machine *m, const struct object_class *class,
			 struct opts *opts, struct err *err)
{
	const char *id = opts_take(opts, "id");
	struct object *o;
	int r;

	if (!id || !*id)
		return err_set(err, -EINVAL, "Parameter 'id' is missing");
	if (object_find(m, id))
		return err_set(err, -EEXIST,
			       "attempt to add duplicate property '%s' to "
			       "object (type 'container')",
			       id);
	o = xalloc(sizeof *o);
	o->class = class;
	o->id = xstrdup(id);
	o->fd = -1;
	list_append(&m->objects, &o->node);
	r = opts_apply(opts, class->options, o, err);
	if (r == 0)
		r = opts_check_used(opts, class->options, err);
	if (r == 0 && class->init)
		r = class->init(o, err);
	if (r < 0)
		object_destroy(o);
	return r;
}

int object_create_text(struct machine *m, const char *text, struct err *err)
{
	const struct object_class *class;
	const char *type;
	struct opts o;
	int r;

	assert_locked(&machine_lock);
	r = opts_parse(&o, text, "qom-type", err);
	if (r < 0)
		return r;
	type = opts_take(&o, "qom-type");
	class = type ? object_class_find(type, strlen(type)) : NULL;
	if (!type)
		r = err_set(err, -EINVAL, "Parameter 'qom-type' is missing");
	else if (!class)
		r = object_unknown(type, err);
	else
		r = object_create(m, class, &o, err);
	opts_fini(&o);
	return r;
}

int object_delete(struct machine *m, const char *id, struct err *err)
{
	struct object *o = object_find(m, id);

	if (!o)
		return err_set(err, -ENOENT, "object '%s' not found", id);
	if (o->users)
		return err_set(err, -EBUSY,
			       "object '%s' is in use, can not be deleted", id);
	object_destroy(o);
	return 0;
}

void object_destroy_all(struct machine *m)
{
	while (!list_empty(&m->objects))
		object_destroy(list_first(&m->objects, struct object, node));
}

/* ---- Random numbers ---- */

struct object *object_find_rng(struct machine *m, const char *id,
			       struct err *err)
{
	struct object *o = object_find(m, id);

	if (!o)
		err_set(err, -ENOENT, "Device '%s' not found", id);
	else if (o->class->kind != OBJECT_RNG)
		err_set(err, -EINVAL, "'%s' is no source of random numbers",
			id);
	else
		o->users++;
	return o && o->class->kind == OBJECT_RNG ? o : NULL;
}

void object_put(struct object *o)
{
	if (o)
		o->users--;
}

size_t object_rng_read(struct object *o, void *dst, size_t len)
{
	ssize_t n = o && o->fd >= 0 ? read(o->fd, dst, len)
				    : getrandom(dst, len, GRND_NONBLOCK);

	return n > 0 ? (size_t)n : 0;
}
