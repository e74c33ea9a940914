/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What QMP tells of the command line: its options and what -chardev, -netdev
 * and -cpu take.
 */
#include <errno.h>
#include <string.h>

#include "block/block.h"
#include "chardev/chardev.h"
#include "lib/err.h"
#include "lib/opt.h"
#include "monitor/qmp.h"
#include "net/net.h"
#include "vmm/accel.h"
#include "vmm/config.h"
#include "vmm/cpu_models.h"
#include "vmm/machine.h"

static const struct qmp_option {
	const char *names; /* "m|memory" */
	bool has_arg;
	const char *help;
} qmp_options[] = {

#define OPTION(names, has_arg, handler, arg, help) { names, has_arg, help },
#include "vmm/options.def"
#undef OPTION
};

/* The word of QEMU's schema for a kind of value. */
static const char *qmp_option_type(const struct opt_type *type)
{
	if (type == &opt_bool)
		return "boolean";
	if (type == &opt_size)
		return "size";
	if (type == &opt_u16 || type == &opt_u32 || type == &opt_u64)
		return "number";
	return "string";
}

static bool qmp_has_parameter(const json_t *list, const char *name)
{
	size_t i;
	json_t *v;

	json_array_foreach((json_t *)list, i, v) if (!strcmp(val_str(v, "name"),
							     name)) return true;
	return false;
}

/* Back ends share names. */
static void qmp_add_parameters(json_t *list, const struct option_row *row)
{
	for (; row && row->name; row++) {
		json_t *v;

		if (qmp_has_parameter(list, row->name))
			continue;
		v = json_pack("{ss ss so}", "name", row->name, "type",
			      qmp_option_type(row->type), "help",
			      val_string(row->help));
		if (row->def)
			json_object_set_new(v, "default", val_string(row->def));
		json_array_append_new(list, v);
	}
}

static void qmp_add_rows(json_t *list, const struct config_rows *rows,
			 const char *name)
{
	for (; rows->option; rows++)
		if (!strcmp(rows->option, name))
			qmp_add_parameters(list, rows->rows);
}

static json_t *qmp_option_parameters(const char *name)
{
	json_t *list = json_array();

	qmp_add_rows(list, config_machine_rows, name);
	qmp_add_rows(list, config_run_rows, name);
	if (!strcmp(name, "drive"))
		qmp_add_parameters(list, block_options);
	if (!strcmp(name, "accel"))
		for (int i = 0; accel_classes[i]; i++)
			qmp_add_parameters(list, accel_classes[i]->options);
	if (!strcmp(name, "chardev"))
		for (int i = 0; chardev_classes[i]; i++)
			qmp_add_parameters(list, chardev_classes[i]->options);
	if (!strcmp(name, "netdev"))
		for (int i = 0; netdev_classes[i]; i++)
			qmp_add_parameters(list, netdev_classes[i]->options);
	return list;
}

json_t *query_qmp_options(struct monitor *mon, const struct args *a,
			  struct err *err)
{
	const char *wanted = args_str(a, "option");
	json_t *list = json_array();
	char name[32];

	for (size_t i = 0; i < ARRAY_SIZE(qmp_options); i++) {
		const char *p = qmp_options[i].names;

		for (; *p && qmp_options[i].has_arg; p += *p == '|') {
			size_t n = strcspn(p, "|");

			snprintf(name, sizeof name, "%.*s", (int)n, p);
			p += n;
			if (wanted && strcmp(wanted, name))
				continue;
			json_array_append_new(
				list, json_pack("{ss so}", "option", name,
						"parameters",
						qmp_option_parameters(name)));
		}
	}
	if (json_array_size(list) || !wanted)
		return list;
	json_decref(list);
	err_set(err, -EINVAL, "invalid option name: %.200s", wanted);
	return NULL;
}

/* What goes missing if this machine were started with that model. */
static json_t *qmp_unavailable(struct machine *m, const char *name)
{
	static const u32 all[CPUID_WORDS] = {
		[0 ... CPUID_WORDS - 1] = UINT32_MAX,
	};
	json_t *list = json_array();
	struct cpu_model model;
	u32 words[CPUID_WORDS];

	if (cpu_model_parse(name, NULL, all, &model, NULL) < 0 || model.host)
		return list; /* has what there is */
	m->accel->features(m, model.vendor, words);
	for (int i = 0; i < cpuid_feature_count; i++) {
		const struct cpuid_feature *f = &cpuid_features[i];

		if (cpu_model_has(&model, f->word, f->bit) &&
		    !(words[f->word] >> f->bit & 1))
			json_array_append_new(list, json_string(f->name));
	}
	return list;
}

json_t *query_qmp_cpu_models(struct monitor *mon, const struct args *a,
			     struct err *err)
{
	json_t *list = json_array();
	const char *name;

	for (int i = 0; (name = cpu_model_name(i)); i++) {
		bool host = !strcmp(name, "host") || !strcmp(name, "max");

		json_array_append_new(
			list, json_pack("{ss so sb sb sb so}", "name", name,
					"typename",
					json_sprintf("%s-x86_64-cpu", name),
					"static", 0, "migration-safe", !host,
					"deprecated", 0, "unavailable-features",
					qmp_unavailable(mon->m, name)));
	}
	return list;
}
