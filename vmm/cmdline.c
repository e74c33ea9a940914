/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The command line as it would be now.
 */
#include "vmm/cmdline.h"

#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
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
