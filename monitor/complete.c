/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What Tab offers: command names, then what the argument's letter names.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "block/block.h"
#include "chardev/chardev.h"
#include "devices/keys.h"
#include "lib/alloc.h"
#include "monitor/internal.h"
#include "net/net.h"
#include "vmm/device.h"
#include "vmm/machine.h"

#define WORDS_MAX 16

/* The text left of the cursor, split; the last word is being typed. */
struct words {
	char v[WORDS_MAX][ARG_STRING_MAX + 1];
	int n;
};

/* False: too many words, or a quote is open. */
static bool complete_split(struct words *w, const char *text)
{
	w->n = 0;
	for (;;) {
		size_t n = 0;

		while (isspace((unsigned char)*text))
			text++;
		if (w->n == WORDS_MAX || *text == '"')
			return false;
		while (*text && !isspace((unsigned char)*text)) {
			if (n == ARG_STRING_MAX)
				return false;
			w->v[w->n][n++] = *text++;
		}
		w->v[w->n++][n] = '\0';
		if (!*text)
			return true;
	}
}

static void complete_offer(struct readline *rl, const char *typed,
			   const char *name)
{
	if (!strncmp(name, typed, strlen(typed)))
		rl_candidate(rl, strlen(typed), name);
}

static void complete_switch(struct readline *rl, const char *typed)
{
	complete_offer(rl, typed, "on");
	complete_offer(rl, typed, "off");
}

static void complete_names(struct readline *rl, const struct command *table,
			   const char *typed)
{
	for (; table->names; table++) {
		char name[64];
		const char *p = table->names;

		while (*p && !table->absent) {
			size_t n = strcspn(p, "|");

			snprintf(name, sizeof name, "%.*s", (int)n, p);
			complete_offer(rl, typed, name);
			p += n + (p[n] == '|');
		}
	}
}

static void complete_files(struct readline *rl, const char *typed)
{
	const char *slash = strrchr(typed, '/');
	const char *leaf = slash ? slash + 1 : typed;
	char *dir = slash ? xprintf("%.*s", (int)(slash + 1 - typed), typed)
			  : xstrdup("");
	DIR *d = opendir(*dir ? dir : ".");
	struct dirent *e;

	while (d && (e = readdir(d))) {
		struct stat st;
		char *path;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
		    strncmp(e->d_name, leaf, strlen(leaf)))
			continue;
		path = xprintf("%s%s", dir, e->d_name);
		if (!stat(path, &st) && S_ISDIR(st.st_mode)) {
			char *with_slash = xprintf("%s/", path);

			complete_offer(rl, typed, with_slash);
			free(with_slash);
		} else {
			complete_offer(rl, typed, path);
		}
		free(path);
	}
	if (d)
		closedir(d);
	free(dir);
}

static void complete_drives(struct readline *rl, const char *typed)
{
	for (struct block *b = block_next(NULL); b; b = block_next(b))
		complete_offer(rl, typed, b->id);
}

static void complete_links(struct readline *rl, const char *typed)
{
	for (struct net_port *p = net_port_next(NULL); p; p = net_port_next(p))
		complete_offer(rl, typed, p->name);
}

static void complete_devices(struct monitor *mon, struct readline *rl,
			     const char *typed)
{
	struct device *dev;

	list_for_each (dev, &mon->m->devices, node)
		if (dev->id)
			complete_offer(rl, typed, dev->id);
}

static void complete_netdevs(struct monitor *mon, struct readline *rl,
			     const char *typed)
{
	for (struct net_port *p = net_port_next(NULL); p; p = net_port_next(p))
		if (!p->nic)
			complete_offer(rl, typed, p->name);
}

static void complete_chardevs(struct monitor *mon, struct readline *rl,
			      const char *typed)
{
	for (struct chardev *c = chr_next(NULL); c; c = chr_next(c))
		if (chr_label(c)[0] != '#')
			complete_offer(rl, typed, chr_label(c));
}

static void complete_ports(struct monitor *mon, struct readline *rl,
			   const char *typed)
{
	complete_links(rl, typed);
}

/* What may stand behind "drive=" and the like. */
static void complete_value(struct monitor *mon, struct readline *rl,
			   const struct option_row *row, const char *typed)
{
	if (row->type == &opt_drive) {
		complete_drives(rl, typed);
	} else if (row->type == &opt_netdev) {
		complete_netdevs(mon, rl, typed);
	} else if (row->type == &opt_chardev) {
		complete_chardevs(mon, rl, typed);
	} else if (row->type == &opt_bool) {
		complete_switch(rl, typed);
	}
}

static void complete_property(struct monitor *mon, struct readline *rl,
			      const struct device_class *class,
			      const char *typed)
{
	const char *value = strchr(typed, '=');
	const struct option_row *row = class->options;

	if (!value)
		complete_offer(rl, typed, "id=");
	for (; row && row->name; row++) {
		size_t n = strlen(row->name);
		char name[64];

		if (!value) {
			snprintf(name, sizeof name, "%s=", row->name);
			complete_offer(rl, typed, name);
		} else if (n == (size_t)(value - typed) &&
			   !strncmp(typed, row->name, n)) {
			complete_value(mon, rl, row, value + 1);
		}
	}
}

/* "driver", then "property=value" behind each comma. */
static void complete_driver(struct monitor *mon, struct readline *rl,
			    const char *typed)
{
	const char *comma = strrchr(typed, ',');
	const struct device_class *class;
	char name[64];

	if (!comma) {
		for (int i = 0; device_classes[i]; i++)
			if (device_classes[i]->user)
				complete_offer(rl, typed,
					       device_classes[i]->name);
		return;
	}
	snprintf(name, sizeof name, "%.*s", (int)strcspn(typed, ","), typed);
	class = device_class_find(name);
	if (class)
		complete_property(mon, rl, class, comma + 1);
}

static void complete_settings(struct monitor *mon, struct readline *rl,
			      const char *typed)
{
	const char *name;

	for (int i = 0; (name = session_setting(i)); i++)
		complete_offer(rl, typed, name);
}

/* The last key of a chord. */
static void complete_keys(struct monitor *mon, struct readline *rl,
			  const char *typed)
{
	const char *dash = strrchr(typed, '-');
	const char *name;

	for (int i = 0; (name = key_name(i)); i++)
		complete_offer(rl, dash ? dash + 1 : typed, name);
}

/* First words of commands that name something. */
static const struct {
	const char *command;
	void (*fn)(struct monitor *mon, struct readline *rl, const char *typed);
} complete_first[] = {
	{ "chardev-remove", complete_chardevs },
	{ "chardev-send-break", complete_chardevs },
	{ "device_add", complete_driver },
	{ "device_del", complete_devices },
	{ "netdev_del", complete_netdevs },
	{ "ringbuf_read", complete_chardevs },
	{ "ringbuf_write", complete_chardevs },
	{ "sendkey", complete_keys },
	{ "set", complete_settings },
	{ "set_link", complete_ports },
};

static void complete_named(struct monitor *mon, struct readline *rl,
			   const struct command *c, const char *typed)
{
	for (size_t i = 0; i < ARRAY_SIZE(complete_first); i++)
		if (command_has_name(c, complete_first[i].command,
				     strlen(complete_first[i].command)))
			complete_first[i].fn(mon, rl, typed);
}

static void complete_argument(struct monitor *mon, struct readline *rl,
			      const struct command *c, const struct words *w,
			      int first)
{
	const char *last = w->v[w->n - 1];
	int word = 0;

	for (int i = first; i < w->n - 1; i++)
		word += w->v[i][0] != '-' && w->v[i][0] != '/';
	switch (args_type_at(c->types, word)) {
	case 'F':
		if (mon->role == MONITOR_ADMIN)
			complete_files(rl, last);
		break;
	case 'B': complete_drives(rl, last); break;
	case 'b': complete_switch(rl, last); break;
	case 's':
		if (word == 0)
			complete_named(mon, rl, c, last);
		else if (command_has_name(c, "set", 3))
			complete_switch(rl, last);
		break;
	}
}

void command_complete(void *opaque, struct readline *rl, const char *text)
{
	const struct command *c;
	struct words *w = xalloc(sizeof *w);
	const char *last;
	int at = 0; /* word that names the command */

	if (!complete_split(w, text))
		goto out;
	last = w->v[w->n - 1];
	if (w->n > 1 && (!strcmp(w->v[0], "help") || !strcmp(w->v[0], "?")))
		at = 1;
	if (at == w->n - 1) {
		complete_names(rl, command_table, last);
		goto out;
	}
	if (!strcmp(w->v[at], "info")) {
		if (at + 1 == w->n - 1) {
			complete_names(rl, info_table, last);
			goto out;
		}
		at++;
		c = command_find(info_table, w->v[at], strlen(w->v[at]));
	} else {
		c = command_find(command_table, w->v[at], strlen(w->v[at]));
	}
	if (c && strcmp(w->v[0], "help") && strcmp(w->v[0], "?"))
		complete_argument(opaque, rl, c, w, at + 1);
out:
	free(w);
}
