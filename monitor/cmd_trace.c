/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Commands on trace points.
 */
#include <errno.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/trace.h"
#include "monitor/qmp.h"

static int trace_change(const struct args *a, bool on, struct err *err)
{
	const char *name = args_str(a, "name");

	if (args_has(a, "vcpu"))
		return err_set(err, -EINVAL,
			       "event \"%s\" is not vCPU-specific", name);
	if (trace_set(name, on) < 0)
		return err_set(err, -ENOENT, "unknown event \"%s\"", name);
	return 0;
}

int cmd_trace_event(struct monitor *mon, const struct args *a, struct err *err)
{
	return mon_say_error(mon, err,
			     trace_change(a, args_u64(a, "option"), err));
}

int cmd_trace_file(struct monitor *mon, const struct args *a, struct err *err)
{
	const char *op = args_str(a, "op"), *file = args_str(a, "arg");
	struct buf out = { 0 };
	int r = 0;

	if (!op) {
		trace_say_file(&out);
		mon_puts(mon, buf_str(&out));
		buf_fini(&out);
	} else if (!strcmp(op, "set")) {
		r = file ? trace_set_file(file, err)
			 : err_set(err, -EINVAL, "set takes a file");
	} else if (file) {
		r = err_set(err, -EINVAL, "'%s' takes no file", op);
	} else if (!strcmp(op, "on") || !strcmp(op, "off")) {
		r = trace_use_file(!strcmp(op, "on"));
		if (r < 0)
			err_set(err, r,
				"no trace file has been set; traces go to the "
				"log");
	} else if (strcmp(op, "flush")) { /* QEMU's words, as they are */
		mon_printf(mon, "unexpected argument \"%s\"\n", op);
		r = -EINVAL;
	}
	return r;
}

int cmd_qmp_trace_set(struct monitor *mon, const struct args *a,
		      struct err *err)
{
	if (args_has(a, "ignore-unavailable") &&
	    args_u64(a, "ignore-unavailable") && !args_has(a, "vcpu")) {
		(void)trace_set(args_str(a, "name"), args_u64(a, "enable"));
		return 0;
	}
	return trace_change(a, args_u64(a, "enable"), err);
}

json_t *query_qmp_trace(struct monitor *mon, const struct args *a,
			struct err *err)
{
	const char *name = args_str(a, "name");
	json_t *list = json_array();

	for (int p = 0; trace_name(p); p++)
		if (!name || trace_matches(p, name))
			json_array_append_new(
				list, json_pack("{ss ss sb}", "name",
						trace_name(p), "state",
						trace_state(p) ? "enabled"
							       : "disabled",
						"vcpu", 0));
	if (args_has(a, "vcpu") && name)
		err_set(err, -EINVAL, "event \"%s\" is not vCPU-specific",
			name);
	else if (!json_array_size(list) && !strpbrk(name, "*?["))
		err_set(err, -ENOENT, "unknown event \"%s\"", name);
	else
		return list;
	json_decref(list);
	return NULL;
}

json_t *query_trace_events(struct monitor *mon, const struct args *a,
			   struct err *err)
{
	json_t *list = query_qmp_trace(mon, a, err);

	if (!list)
		mon_say_error(mon, err, err->code);
	return list;
}

void print_trace_events(const json_t *list, struct buf *out)
{
	size_t i;
	json_t *v;

	json_array_foreach(list, i, v)
		buf_printf(out, "%s : state %d\n", val_str(v, "name"),
			   !strcmp(val_str(v, "state"), "enabled"));
}
