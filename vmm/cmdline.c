/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The command line as it would be now.
 */
#include "vmm/cmdline.h"

#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/opt.h"

#define CMDLINE_MAX 4096 /* options; more are not remembered */

static struct cmdline_item *cmdline_items;
static int cmdline_len;

static void cmdline_remove(int n)
{
	free(cmdline_items[n].option);
	free(cmdline_items[n].arg);
	free(cmdline_items[n].id);
	cmdline_len--;
	memmove(&cmdline_items[n], &cmdline_items[n + 1],
		(cmdline_len - n) * sizeof cmdline_items[0]);
}

static bool cmdline_same(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

/* The value of id= in "word,key=value,...", or NULL. */
static char *cmdline_id(const char *arg)
{
	const char *id;
	struct opts o;
	char *copy;

	if (!arg || opts_parse(&o, arg, "", NULL) < 0)
		return NULL;
	id = opts_peek(&o, "id");
	copy = id ? xstrdup(id) : NULL;
	opts_fini(&o);
	return copy;
}

void cmdline_drop(const char *option, const char *id)
{
	for (int i = cmdline_len - 1; i >= 0; i--)
		if (cmdline_same(cmdline_items[i].option, option) &&
		    cmdline_same(cmdline_items[i].id, id))
			cmdline_remove(i);
}

static struct cmdline_item *cmdline_find(const char *option, const char *id)
{
	for (int i = cmdline_len - 1; i >= 0; i--)
		if (cmdline_same(cmdline_items[i].option, option) &&
		    cmdline_same(cmdline_items[i].id, id))
			return &cmdline_items[i];
	return NULL;
}

/* Appends one "key=value" as it was typed. */
static void cmdline_print(struct buf *out, const char *key, const char *value)
{
	buf_printf(out, "%s%s%s", out->len ? "," : "", key, *key ? "=" : "");
	for (; *value; value++) {
		if (*value == ',')
			buf_putc(out, ',');
		buf_putc(out, *value);
	}
}

/* Without those of `key` whose value begins so, and with one more unless
 * `value` is NULL. */
static bool cmdline_edit(const char *option, const char *id, const char *key,
			 const char *begin, const char *value)
{
	struct cmdline_item *item = cmdline_find(option, id);
	struct buf text = { 0 };
	struct opt *opt;
	struct opts o;

	/* The first word may be a type, without a key. */
	if (!item || opts_parse(&o, item->arg, "", NULL) < 0)
		return false;
	list_for_each (opt, &o.list, node)
		if (!begin || strcmp(opt->key, key) ||
		    strncmp(opt->value, begin, strlen(begin)))
			cmdline_print(&text, opt->key, opt->value);
	if (value)
		cmdline_print(&text, key, value);
	opts_fini(&o);
	free(item->arg);
	item->arg = xstrdup(buf_str(&text));
	buf_fini(&text);
	return true;
}

void cmdline_set(const char *option, const char *id, const char *key,
		 const char *value)
{
	cmdline_edit(option, id, key, "", value);
}

bool cmdline_put(const char *option, const char *id, const char *key,
		 const char *value)
{
	return cmdline_edit(option, id, key, NULL, value);
}

void cmdline_take(const char *option, const char *id, const char *key,
		  const char *begin)
{
	cmdline_edit(option, id, key, begin, NULL);
}

void cmdline_add(const char *option, const char *arg)
{
	struct cmdline_item item;

	item.option = option ? xstrdup(option) : NULL;
	item.arg = arg ? xstrdup(arg) : NULL;
	item.id = cmdline_id(arg);
	cmdline_drop(option, item.id);
	if (cmdline_len == CMDLINE_MAX) {
		free(item.option);
		free(item.arg);
		free(item.id);
		return;
	}
	cmdline_items =
		xrealloc(cmdline_items, (cmdline_len + 1) * sizeof item);
	cmdline_items[cmdline_len++] = item;
}

static int cmdline_unnamed(const char *option, const char *arg)
{
	for (int i = 0; i < cmdline_len; i++) {
		const struct cmdline_item *item = &cmdline_items[i];

		if (!item->id && cmdline_same(item->arg, arg) &&
		    (!item->option || !strcmp(item->option, option)))
			return i;
	}
	return -1;
}

void cmdline_name(const char *option, const char *arg, const char *id)
{
	if (cmdline_unnamed(option, arg) < 0)
		return;
	cmdline_drop(option, id);
	cmdline_items[cmdline_unnamed(option, arg)].id = xstrdup(id);
}

void cmdline_replace(int n, const char *option, const char *arg)
{
	free(cmdline_items[n].option);
	free(cmdline_items[n].arg);
	cmdline_items[n].option = xstrdup(option);
	cmdline_items[n].arg = xstrdup(arg);
}

void cmdline_clear(void)
{
	while (cmdline_len)
		cmdline_remove(cmdline_len - 1);
	free(cmdline_items);
	cmdline_items = NULL;
}

const struct cmdline_item *cmdline_item(int n)
{
	return n < cmdline_len ? &cmdline_items[n] : NULL;
}
