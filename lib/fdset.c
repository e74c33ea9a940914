/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * File descriptors that a manager has passed in.
 */
#include "lib/fdset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/err.h"
#include "lib/parse.h"

#define FDSET_PATH "/dev/fdset/"

struct named_fd {
	char *name; /* owned */
	int fd;
	struct list node;
};

static struct list fdset_names = LIST_INIT(fdset_names);
static struct list fdset_sets = LIST_INIT(fdset_sets); /* by id */
static int fdset_count;

static int fdset_refuse(int fd, struct err *err)
{
	close(fd);
	return err_set(err, -E2BIG, "too many file descriptors were passed");
}

/* ---- by name ---- */

static struct named_fd *fdset_find_name(const char *name)
{
	struct named_fd *n;

	list_for_each (n, &fdset_names, node)
		if (!strcmp(n->name, name))
			return n;
	return NULL;
}

int fdset_name(const char *name, int fd, struct err *err)
{
	struct named_fd *n = fdset_find_name(name);

	if (n) {
		close(n->fd);
		n->fd = fd;
		return 0;
	}
	if (fdset_count >= FDSET_MAX)
		return fdset_refuse(fd, err);
	n = xalloc(sizeof *n);
	n->name = xstrdup(name);
	n->fd = fd;
	list_append(&fdset_names, &n->node);
	fdset_count++;
	return 0;
}

int fdset_take(const char *name)
{
	struct named_fd *n = fdset_find_name(name);
	int fd;

	if (!n)
		return -ENOENT;
	fd = n->fd;
	list_remove(&n->node);
	free(n->name);
	free(n);
	fdset_count--;
	return fd;
}

/* ---- sets ---- */

static struct fdset *fdset_find(s64 id)
{
	struct fdset *s;

	list_for_each (s, &fdset_sets, node)
		if (s->id == id)
			return s;
	return NULL;
}

static struct fdset *fdset_create(u32 id)
{
	struct fdset *s = xalloc(sizeof *s), *next;

	s->id = id;
	list_init(&s->fds);
	list_for_each (next, &fdset_sets, node)
		if (next->id > id)
			break;
	list_append(&next->node, &s->node); /* before it, or at the end */
	return s;
}

static u32 fdset_free_id(void)
{
	u32 id = 0;

	while (fdset_find(id))
		id++;
	return id;
}

int fdset_add(s64 id, int fd, const char *opaque, struct err *err)
{
	struct fdset *s = fdset_find(id);
	struct fdset_fd *f;

	if (fdset_count >= FDSET_MAX)
		return fdset_refuse(fd, err);
	if (id > INT32_MAX) {
		close(fd);
		return err_set(err, -ERANGE, "Parameter 'fdset-id' is too big");
	}
	if (!s)
		s = fdset_create(id < 0 ? fdset_free_id() : (u32)id);
	f = xalloc(sizeof *f);
	f->fd = fd;
	f->opaque = xstrdup(opaque);
	list_append(&s->fds, &f->node);
	fdset_count++;
	return (int)s->id;
}

static void fdset_drop(struct fdset *s, struct fdset_fd *f)
{
	close(f->fd);
	list_remove(&f->node);
	free(f->opaque);
	free(f);
	fdset_count--;
	if (list_empty(&s->fds)) {
		list_remove(&s->node);
		free(s);
	}
}

int fdset_remove(s64 id, s64 fd)
{
	struct fdset *s = fdset_find(id);
	struct fdset_fd *f, *next;
	bool found = false;

	if (!s)
		return -ENOENT;
	list_for_each_safe (f, next, &s->fds, node) {
		bool last = f->node.next == &s->fds;

		if (fd < 0 || f->fd == fd) {
			fdset_drop(s, f); /* the last takes the set along */
			found = true;
		}
		if (last)
			break;
	}
	return found ? 0 : -ENOENT;
}

const struct fdset *fdset_next(const struct fdset *s)
{
	const struct list *next = s ? s->node.next : fdset_sets.next;

	return next == &fdset_sets ? NULL
				   : container_of(next, struct fdset, node);
}

void fdset_clear(void)
{
	struct named_fd *n;
	struct fdset *s;

	while ((n = list_first(&fdset_names, struct named_fd, node)))
		close(fdset_take(n->name));
	while ((s = list_first(&fdset_sets, struct fdset, node)))
		fdset_remove(s->id, -1);
}

int fdset_open(const char *path, int flags)
{
	const size_t prefix = sizeof FDSET_PATH - 1;
	struct fdset_fd *f;
	struct fdset *s;
	u64 id;

	if (strncmp(path, FDSET_PATH, prefix))
		return open(path, flags, 0666);
	s = parse_u64(path + prefix, &id) < 0 || id > INT32_MAX
		    ? NULL
		    : fdset_find((s64)id);
	errno = ENOENT;
	if (!s)
		return -1;
	list_for_each (f, &s->fds, node)
		if ((fcntl(f->fd, F_GETFL) & O_ACCMODE) == (flags & O_ACCMODE))
			return fcntl(f->fd,
				     flags & O_CLOEXEC ? F_DUPFD_CLOEXEC
						       : F_DUPFD,
				     0);
	errno = EACCES;
	return -1;
}
