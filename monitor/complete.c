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
#include "lib/buf.h"
#include "lib/log.h"
#include "lib/trace.h"
#include "monitor/internal.h"
#include "net/net.h"
#include "vmm/device.h"
#include "vmm/event.h"
#include "vmm/machine.h"
#include "vmm/object.h"
#include "vmm/runstate.h"
#include "vmm/vcpu.h"

#define WORDS_MAX 16

/* The text left of the cursor, split; the last word is being typed. */
struct words {
	char v[WORDS_MAX][ARG_STRING_MAX + 1];
	int n;
	bool quoted; /* the last one has an open quote */
	size_t raw;  /* bytes of the last one as it was typed */
};

/* Copies a word and moves *text behind it.  False: too long, or something is
 * glued to its end. */
static bool complete_word(struct words *w, const char **text)
{
	char *to = w->v[w->n++];
	const char *p = *text;
	size_t n = 0;

	w->quoted = *p == '"';
	p += w->quoted;
	for (; w->quoted ? *p && *p != '"' : *p && !isspace((unsigned char)*p);
	     p++) {
		if (w->quoted && *p == '\\' && p[1])
			p++;
		if (n == ARG_STRING_MAX)
			return false;
		to[n++] = *p;
	}
	to[n] = '\0';
	w->raw = p - *text - w->quoted;
	*text = p;
	if (!w->quoted || !*p)
		return true;
	w->quoted = false;
	*text = p + 1;
	return isspace((unsigned char)p[1]); /* a closed one is complete */
}

/* False: there is nothing to complete. */
static bool complete_split(struct words *w, const char *text)
{
	w->n = 0;
	for (;;) {
		while (isspace((unsigned char)*text))
			text++;
		if (w->n == WORDS_MAX || !complete_word(w, &text))
			return false;
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

/* As it has to be typed behind an open quote. */
static char *complete_quote(const char *path, bool more)
{
	struct buf out = { 0 };

	for (; *path; path++) {
		if (*path == '"' || *path == '\\')
			buf_putc(&out, '\\');
		buf_putc(&out, *path);
	}
	if (!more)
		buf_putc(&out, '"');
	return buf_steal(&out);
}

static void complete_file(struct readline *rl, const struct words *w,
			  const char *path)
{
	const char *typed = w->v[w->n - 1];
	struct stat st;
	bool folder = !stat(path, &st) && S_ISDIR(st.st_mode);
	char *text = xprintf("%s%s", path, folder ? "/" : ""), *quoted;

	if (w->quoted) {
		quoted = complete_quote(text, folder);
		rl_candidate(rl, w->raw, quoted);
		free(quoted);
	} else if (!strpbrk(path, " \t\"")) { /* else it takes quotes */
		rl_candidate(rl, strlen(typed), text);
	}
	free(text);
}

static void complete_files(struct readline *rl, const struct words *w)
{
	const char *typed = w->v[w->n - 1];
	const char *slash = strrchr(typed, '/');
	const char *leaf = slash ? slash + 1 : typed;
	char *dir = slash ? xprintf("%.*s", (int)(slash + 1 - typed), typed)
			  : xstrdup("");
	DIR *d = opendir(*dir ? dir : ".");
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char *path;

		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
		    strncmp(e->d_name, leaf, strlen(leaf)))
			continue;
		path = xprintf("%s%s", dir, e->d_name);
		complete_file(rl, w, path);
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

	list_for_each (dev, &mon->m->devices, node) {
		if (*typed == '/')
			complete_offer(rl, typed, dev->path);
		else if (dev->id)
			complete_offer(rl, typed, dev->id);
	}
}

static void complete_paths(struct monitor *mon, struct readline *rl,
			   const char *typed)
{
	static const char *const folders[] = { "/machine",
					       "/machine/peripheral",
					       "/machine/peripheral-anon",
					       "/machine/unattached" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		complete_offer(rl, typed, folders[i]);
	complete_devices(mon, rl, typed);
}

/* The properties of the device before. */
static void complete_properties(struct monitor *mon, struct readline *rl,
				const char *path, const char *typed)
{
	struct device *dev = device_find(mon->m, path);
	const struct option_row *row = dev ? dev->class->options : NULL;

	if (dev)
		complete_offer(rl, typed, "type");
	for (; row && row->name; row++)
		complete_offer(rl, typed, row->name);
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

static void complete_chr_backends(struct monitor *mon, struct readline *rl,
				  const char *typed)
{
	for (int i = 0; chardev_classes[i]; i++)
		complete_offer(rl, typed, chardev_classes[i]->name);
}

static void complete_net_backends(struct monitor *mon, struct readline *rl,
				  const char *typed)
{
	for (int i = 0; netdev_classes[i]; i++)
		complete_offer(rl, typed, netdev_classes[i]->name);
}

static void complete_object_types(struct monitor *mon, struct readline *rl,
				  const char *typed)
{
	const char *name;

	for (int i = 0; (name = object_type_name(i)); i++)
		complete_offer(rl, typed, name);
}

static void complete_objects(struct monitor *mon, struct readline *rl,
			     const char *typed)
{
	const char *id;

	for (int i = 0; (id = object_id(mon->m, i)); i++)
		complete_offer(rl, typed, id);
}

static void complete_vcpus(struct monitor *mon, struct readline *rl,
			   const char *typed)
{
	char number[16];

	for (int i = 0; i < mon->m->nvcpus; i++) {
		snprintf(number, sizeof number, "%d", i);
		if (vcpu_plugged(mon->m, i))
			complete_offer(rl, typed, number);
	}
}

/* Those that are not there can be plugged in. */
static void complete_sockets(struct monitor *mon, struct readline *rl,
			     const char *typed)
{
	char number[16];

	for (int i = 0; i < mon->m->nvcpus; i++) {
		snprintf(number, sizeof number, "%d", i);
		complete_offer(rl, typed, number);
	}
}

static void complete_traces(struct monitor *mon, struct readline *rl,
			    const char *typed)
{
	const char *name;

	for (int i = 0; (name = trace_name(i)); i++)
		complete_offer(rl, typed, name);
}

/* The last of "item,item,trace:point". */
static void complete_log_items(struct monitor *mon, struct readline *rl,
			       const char *typed)
{
	const char *comma = strrchr(typed, ','), *name;
	const char *last = comma ? comma + 1 : typed;

	if (!strncmp(last, "trace:", 6)) {
		complete_traces(mon, rl, last + 6);
		return;
	}
	for (int i = 0; (name = log_item_name(i)); i++)
		complete_offer(rl, last, name);
	if (!comma)
		complete_offer(rl, last, "none");
}

static void complete_waits(struct monitor *mon, struct readline *rl,
			   const char *typed)
{
	char text[64];

	for (int i = 0; i < RUN_STATE_COUNT; i++) {
		snprintf(text, sizeof text, "status=%s", run_state_name(i));
		complete_offer(rl, typed, text);
	}
	for (int i = 0; i < EVENT_COUNT; i++) {
		snprintf(text, sizeof text, "event=%s", event_classes[i].name);
		complete_offer(rl, typed, text);
	}
}

/* What may stand at a place, by name. */
static void complete_words(struct readline *rl, const char *typed,
			   const char *words)
{
	char word[32];

	while (*words) {
		size_t n = strcspn(words, " ");

		snprintf(word, sizeof word, "%.*s", (int)n, words);
		complete_offer(rl, typed, word);
		words += n + (words[n] == ' ');
	}
}

/* Words of commands that name something, counted from 0, flags left out. */
static const struct {
	const char *command;
	int word;
	void (*fn)(struct monitor *mon, struct readline *rl, const char *typed);
	const char *words; /* instead of `fn` */
} complete_rows[] = {
	{ "boot_set", 0, NULL, "a c d n" },
	{ "change", 2, NULL, "raw" },
	{ "change", 3, NULL, "retain read-only read-write" },
	{ "chardev-add", 0, complete_chr_backends, NULL },
	{ "chardev-change", 0, complete_chardevs, NULL },
	{ "chardev-change", 1, complete_chr_backends, NULL },
	{ "chardev-remove", 0, complete_chardevs, NULL },
	{ "chardev-send-break", 0, complete_chardevs, NULL },
	{ "cpu", 0, complete_vcpus, NULL },
	{ "cpu-add", 0, complete_sockets, NULL },
	{ "cpu_set", 0, complete_sockets, NULL },
	{ "cpu_set", 1, NULL, "online offline" },
	{ "device_add", 0, complete_driver, NULL },
	{ "device_del", 0, complete_devices, NULL },
	{ "gdbserver", 0, NULL, "none" },
	{ "hostfwd_add", 0, complete_netdevs, NULL },
	{ "hostfwd_remove", 0, complete_netdevs, NULL },
	{ "info registers", 0, complete_vcpus, NULL },
	{ "info stats", 0, NULL, "vm vcpu" },
	{ "info trace-events", 0, complete_traces, NULL },
	{ "info virtio-queue-element", 0, complete_devices, NULL },
	{ "info virtio-queue-status", 0, complete_devices, NULL },
	{ "info virtio-status", 0, complete_devices, NULL },
	{ "log", 0, complete_log_items, NULL },
	{ "net_set_io_throttle", 0, complete_ports, NULL },
	{ "netdev_add", 0, complete_net_backends, NULL },
	{ "netdev_del", 0, complete_netdevs, NULL },
	{ "object_add", 0, complete_object_types, NULL },
	{ "object_del", 0, complete_objects, NULL },
	{ "qom-get", 0, complete_devices, NULL },
	{ "qom-list", 0, complete_paths, NULL },
	{ "ringbuf_read", 0, complete_chardevs, NULL },
	{ "ringbuf_write", 0, complete_chardevs, NULL },
	{ "sendkey", 0, complete_keys, NULL },
	{ "serial", 0, NULL, "expect send tail" },
	{ "set", 0, complete_settings, NULL },
	{ "set_link", 0, complete_ports, NULL },
	{ "trace-event", 0, complete_traces, NULL },
	{ "trace-file", 0, NULL, "flush off on set" },
	{ "wait", 0, complete_waits, NULL },
	{ "watchdog_action", 0, NULL,
	  "reset shutdown poweroff pause debug none inject-nmi" },
};

static bool complete_named(struct monitor *mon, struct readline *rl,
			   const struct command *c, int word, const char *typed)
{
	bool found = false;

	for (size_t i = 0; i < ARRAY_SIZE(complete_rows); i++) {
		const char *name = complete_rows[i].command;
		bool info = !strncmp(name, "info ", 5);

		name += info ? 5 : 0;
		if (info != (c->query != NULL) ||
		    complete_rows[i].word != word ||
		    !command_has_name(c, name, strlen(name)))
			continue;
		found = true;
		if (complete_rows[i].fn)
			complete_rows[i].fn(mon, rl, typed);
		else
			complete_words(rl, typed, complete_rows[i].words);
	}
	return found;
}

/* The value of a setting. */
static void complete_setting(struct monitor *mon, struct readline *rl,
			     const struct words *w, int first)
{
	const char *name = w->v[first], *last = w->v[w->n - 1];

	if (!strcmp(name, "expr"))
		complete_words(rl, last, "c qemu");
	else if (strcmp(name, "log"))
		complete_switch(rl, last);
	else if (mon->role == MONITOR_ADMIN)
		complete_files(rl, w);
}

static void complete_argument(struct monitor *mon, struct readline *rl,
			      const struct command *c, const struct words *w,
			      int first)
{
	const char *last = w->v[w->n - 1];
	int word = 0;
	char type;

	for (int i = first; i < w->n - 1; i++)
		word += w->v[i][0] != '-' &&
			(w->v[i][0] != '/' || !strchr(c->types, '/'));
	type = args_type_at(c->types, word);
	if (w->quoted && type != 'F')
		return;
	if (word == 1 && command_has_name(c, "set", 3))
		complete_setting(mon, rl, w, first);
	else if (word == 1 && command_has_name(c, "qom-get", 7))
		complete_properties(mon, rl, w->v[first], last);
	else if (complete_named(mon, rl, c, word, last))
		return;
	else if (type == 'F' && mon->role == MONITOR_ADMIN)
		complete_files(rl, w);
	else if (type == 'B')
		complete_drives(rl, last);
	else if (type == 'b')
		complete_switch(rl, last);
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
		if (!w->quoted)
			complete_names(rl, command_table, last);
		goto out;
	}
	if (!strcmp(w->v[at], "info")) {
		if (at + 1 == w->n - 1) {
			if (!w->quoted)
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
