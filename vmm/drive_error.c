/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vmm/drive_error.h"

#include <errno.h>
#include <string.h>

#include "lib/buf.h"
#include "vmm/event.h"
#include "vmm/machine.h"

/* In the order of enum block_on_error. */
const char *const drive_error_names[] = { "report", "ignore", "enospc", "stop",
					  NULL };

static void drive_tell(struct machine *m, struct block *b, enum block_op op,
		       enum block_on_error action, int error)
{
	const struct event_value v[] = {
		{ .text = b->id },
		{ .text = NULL },
		{ .text = op == BLOCK_READ ? "read" : "write" },
		{ .text = drive_error_names[action] },
		{ .num = error == -ENOSPC },
		{ .text = strerror(-error) },
	};

	event_send(m, EVENT_BLOCK_IO_ERROR, v);
}

enum block_on_error drive_failed(struct machine *m, struct block *b,
				 enum block_op op, int error)
{
	enum block_on_error action = BLOCK_ERR_REPORT;

	if (error != -ENOMEDIUM)
		action = block_error_action(b, op, error);
	drive_tell(m, b, op, action, error);
	if (action == BLOCK_ERR_STOP) {
		block_set_io_status(b, error == -ENOSPC ? BLOCK_IO_NOSPACE
							: BLOCK_IO_FAILED);
		runstate_request_stop(m, RUN_IO_ERROR);
	}
	return action;
}

void drive_set_on_error(struct block *b, int rerror, int werror)
{
	if (rerror >= 0)
		b->on_read_error = rerror;
	if (werror >= 0)
		b->on_write_error = werror;
}

static int on_error_parse(void *field, const char *value,
			  const struct option_row *row, struct err *err)
{
	if (strcmp(value, "auto"))
		return opt_enum.parse(field, value, row, err);
	*(int *)field = -1;
	return 0;
}

static void on_error_format(const void *field, const struct option_row *row,
			    struct buf *out)
{
	int value = *(const int *)field;

	buf_puts(out, value < 0 ? "auto" : drive_error_names[value]);
}

const struct opt_type opt_on_error = {
	.name = "report|ignore|enospc|stop|auto",
	.parse = on_error_parse,
	.format = on_error_format,
};
