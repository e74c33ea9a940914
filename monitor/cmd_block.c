/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Commands on drives, and the balloon.
 */
#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "monitor/internal.h"
#include "virtio/balloon.h"
#include "vmm/machine.h"

int cmd_block_resize(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *id = args_str(a, "device");
	struct block *b = block_find(id);

	if (!b)
		return err_set(err, -ENODEV,
			       "Cannot find device='%s' nor node-name=''", id);
	return block_resize(b, args_u64(a, "size"), err);
}

/* These texts have no "Error: " in QEMU 7.2. */
int cmd_commit(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *id = args_str(a, "device");
	struct block *b = block_find(id);
	int r;

	if (!strcmp(id, "all")) {
		for (b = block_next(NULL); b; b = block_next(b))
			(void)block_commit(b, NULL);
		return 0;
	}
	if (!b) {
		mon_printf(mon, "Device '%s' not found\n", id);
		return -ENODEV;
	}
	r = block_commit(b, err);
	if (r < 0) {
		mon_printf(mon, "%s\n", err->msg);
		err->msg[0] = '\0';
	}
	return r;
}

int cmd_balloon(struct monitor *mon, const struct args *a, struct err *err)
{
	return balloon_set_target(mon->m, args_u64(a, "value"), err);
}

json_t *query_balloon(struct monitor *mon, const struct args *a,
		      struct err *err)
{
	u64 actual;

	if (balloon_actual(mon->m, &actual, err) < 0)
		return NULL;
	return json_pack("{sI}", "actual", (json_int_t)actual);
}

void print_balloon(const json_t *v, struct buf *out)
{
	buf_printf(out, "balloon: actual=%lld\n",
		   (long long)json_integer_value(json_object_get(v, "actual")) /
			   (long long)MIB);
}
