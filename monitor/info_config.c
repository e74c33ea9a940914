/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `info config`: the command line as it would be now.
 */
#include <string.h>

#include "block/block.h"
#include "lib/opt.h"
#include "lib/parse.h"
#include "monitor/internal.h"
#include "vmm/cmdline.h"
#include "vmm/device.h"
#include "vmm/machine.h"

static bool config_is_drive(const char *option)
{
	static const char *const names[] = { "drive", "hda",   "hdb",   "hdc",
					     "hdd",   "cdrom", "pflash" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(names[i], option))
			return true;
	return false;
}

/* Devices and their drives leave when the guest lets go.  A bare word with a
 * name is the first disk. */
static bool config_is_there(struct monitor *mon, const struct cmdline_item *i)
{
	if (!i->id)
		return true;
	if (!i->option || config_is_drive(i->option))
		return block_find(i->id);
	if (!strcmp(i->option, "device"))
		return device_find(mon->m, i->id);
	return true;
}

/* As many vCPUs as are plugged now; which of them they are cannot be said. */
static json_t *config_smp(const struct machine *m, const char *typed)
{
	const struct topology *t = &m->topo;
	u64 began = t->maxcpus;
	const char *cpus;
	struct opts o;
	bool same;

	if (opts_parse(&o, typed, "cpus", NULL) < 0)
		return val_string(typed);
	cpus = opts_peek(&o, "cpus");
	same = (!cpus || parse_u64(cpus, &began) == 0) && began == (u64)t->cpus;
	opts_fini(&o);
	if (same)
		return val_string(typed);
	return json_sprintf("cpus=%d,maxcpus=%d,sockets=%d,cores=%d,threads=%d",
			    t->cpus, t->maxcpus, t->sockets, t->cores,
			    t->threads);
}

json_t *query_config(struct monitor *mon, const struct args *a, struct err *err)
{
	const struct cmdline_item *item;
	json_t *list = json_array();

	for (int i = 0; (item = cmdline_item(i)); i++) {
		json_t *words;

		if (!config_is_there(mon, item))
			continue;
		words = json_array();
		if (item->option)
			json_array_append_new(
				words, json_sprintf("-%s", item->option));
		if (item->arg && item->option && !strcmp(item->option, "smp"))
			json_array_append_new(words,
					      config_smp(mon->m, item->arg));
		else if (item->arg)
			json_array_append_new(words, val_string(item->arg));
		json_array_append_new(list, words);
	}
	return list;
}

/* As a shell would need it. */
static void config_quote(const char *word, struct buf *out)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_-+=.,:/@%";

	if (*word && !word[strspn(word, plain)]) {
		buf_puts(out, word);
		return;
	}
	buf_putc(out, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			buf_puts(out, "'\\''");
		else
			buf_putc(out, *word);
	}
	buf_putc(out, '\'');
}

void print_config(const json_t *list, struct buf *out)
{
	json_t *words, *word;
	size_t i, k;

	buf_puts(out, "vmon");
	json_array_foreach(list, i, words)
	{
		buf_puts(out, " \\\n   ");
		json_array_foreach(words, k, word)
		{
			buf_putc(out, ' ');
			config_quote(json_string_value(word), out);
		}
	}
	buf_putc(out, '\n');
}
