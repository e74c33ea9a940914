/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Commands on file descriptors that come through the monitor's socket.
 */
#include <ctype.h>
#include <errno.h>
#include <unistd.h>

#include "chardev/chardev.h"
#include "lib/err.h"
#include "lib/fdset.h"
#include "monitor/qmp.h"

static int fd_received(struct monitor *mon, struct err *err)
{
	int fd = chr_take_fd(mon->fds_from);

	if (fd < 0)
		return err_set(err, -EBADF,
			       "No file descriptor supplied via SCM_RIGHTS");
	return fd;
}

int cmd_getfd(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *name = args_str(a, "fdname");
	int fd = fd_received(mon, err);

	if (fd < 0)
		return fd;
	if (isdigit((unsigned char)name[0])) {
		close(fd);
		return err_set(err, -EINVAL,
			       "Parameter 'fdname' expects a name not starting "
			       "with a digit");
	}
	return fdset_name(name, fd, err);
}

int cmd_closefd(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *name = args_str(a, "fdname");
	int fd = fdset_take(name);

	if (fd < 0)
		return err_set(err, fd, "File descriptor named '%s' not found",
			       name);
	close(fd);
	return 0;
}

/* ---- QMP ---- */

int cmd_qmp_add_fd(struct monitor *mon, const struct args *a, struct err *err)
{
	s64 id = args_has(a, "fdset-id") ? (s64)args_u64(a, "fdset-id") : -1;
	int fd = fd_received(mon, err), r;

	if (fd < 0)
		return fd;
	if (args_has(a, "fdset-id") && id < 0) {
		close(fd);
		return err_set(err, -EINVAL,
			       "Parameter 'fdset-id' expects a non-negative "
			       "value");
	}
	r = fdset_add(id, fd, args_str(a, "opaque"), err);
	if (r < 0)
		return r;
	mon->result = json_pack("{si si}", "fdset-id", r, "fd", fd);
	return 0;
}

int cmd_qmp_remove_fd(struct monitor *mon, const struct args *a,
		      struct err *err)
{
	s64 id = (s64)args_u64(a, "fdset-id"), fd = (s64)args_u64(a, "fd");
	bool one = args_has(a, "fd");

	if ((one && fd < 0) || fdset_remove(id, one ? fd : -1) < 0)
		return one ? err_set(err, -ENOENT,
				     "File descriptor named 'fdset-id:%lld, "
				     "fd:%lld' not found",
				     (long long)id, (long long)fd)
			   : err_set(err, -ENOENT,
				     "File descriptor named 'fdset-id:%lld' "
				     "not found",
				     (long long)id);
	return 0;
}

json_t *query_qmp_fdsets(struct monitor *mon, const struct args *a,
			 struct err *err)
{
	json_t *list = json_array();

	for (const struct fdset *s = fdset_next(NULL); s; s = fdset_next(s)) {
		json_t *fds = json_array();
		struct fdset_fd *f;

		list_for_each (f, &s->fds, node) {
			json_t *v = json_pack("{si}", "fd", f->fd);

			if (f->opaque)
				json_object_set_new(v, "opaque",
						    val_string(f->opaque));
			json_array_append_new(fds, v);
		}
		json_array_append_new(list, json_pack("{si so}", "fdset-id",
						      (int)s->id, "fds", fds));
	}
	return list;
}
