/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon run`: its own options.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/err.h"
#include "run/internal.h"

#define RUN_INDENT "                               "

struct run_option {
	char letter;
	const char *name, *arg;
	size_t field;
	const char *help;
};

static const struct run_option run_options[] = {

#define RUN_OPTION(letter, name, arg, field, help) \
	{ letter, name, arg, offsetof(struct run, field), help },
#include "run/options.def"
#undef RUN_OPTION
};

void run_help(void)
{
	puts("usage: vmon run [OPTION...] IMAGE [-- OPTION OF VMON...]\n"
	     "Boots a cloud image from its own boot loader, with this terminal "
	     "as its console\n(C-a x quits, C-a c is the monitor).\n");
	for (size_t n = 0; n < ARRAY_SIZE(run_options); n++) {
		const struct run_option *o = &run_options[n];
		char *text = xprintf("%s%c%s--%s%s%s", o->letter ? "-" : " ",
				     o->letter ? o->letter : ' ',
				     o->letter ? ", " : "  ", o->name,
				     o->arg ? " " : "", o->arg ? o->arg : "");
		bool fits = strlen(text) <= 28;

		printf("  %-28s%s%s\n", text, fits ? " " : "\n" RUN_INDENT,
		       o->help);
		free(text);
	}
	puts("\nexit status: 0 powered off or, with --wait, there; 1 usage; "
	     "2 cannot start;\n3 the guest panicked; 4 it reset, with "
	     "-no-reboot; 5 it ended, or is stuck,\nbefore it was there; 6 "
	     "--timeout; 128 + N signal N");
}

static bool run_is_many(const struct run *r, const char **at)
{
	return at == r->publish || at == r->set_credential ||
	       at == r->load_credential;
}

static int run_set(struct run *r, const struct run_option *o, const char *value,
		   struct err *err)
{
	const char **at = (const char **)((char *)r + o->field);
	int n = 0;

	if (run_is_many(r, at)) {
		while (at[n])
			n++;
		if (n == RUN_MANY_MAX)
			return err_set(err, -E2BIG, "more than %d --%s",
				       RUN_MANY_MAX, o->name);
	}
	at[n] = value ? value : "";
	return 0;
}

/* "--name value", "--name=value", "-n value", "-nvalue". */
static const struct run_option *run_find(const char *word, const char **value)
{
	*value = NULL;
	for (size_t n = 0; n < ARRAY_SIZE(run_options); n++) {
		const struct run_option *o = &run_options[n];
		size_t len = strlen(o->name);

		if (word[1] == '-' && !strncmp(word + 2, o->name, len) &&
		    (!word[2 + len] || word[2 + len] == '=')) {
			if (word[2 + len])
				*value = word + 3 + len;
			return o;
		}
		if (word[1] != '-' && o->letter && word[1] == o->letter &&
		    (o->arg || !word[2])) {
			if (word[2])
				*value = word + 2;
			return o;
		}
	}
	return NULL;
}

static int run_take(struct run *r, int argc, char **argv, int *n,
		    struct err *err)
{
	const char *value;
	const struct run_option *o = run_find(argv[*n], &value);

	if (!o)
		return err_set(err, -EINVAL,
			       "unknown option '%s'; 'vmon run --help' "
			       "lists them, and those of vmon itself "
			       "come behind '--'",
			       argv[*n]);
	if (!o->arg && value)
		return err_set(err, -EINVAL, "--%s takes no value", o->name);
	if (o->arg && !value) {
		if (*n + 1 == argc)
			return err_set(err, -EINVAL, "--%s needs %s", o->name,
				       o->arg);
		value = argv[++*n];
	}
	return run_set(r, o, value, err);
}

int run_parse(struct run *r, int argc, char **argv, struct err *err)
{
	for (int n = 0; n < argc; n++) {
		if (!strcmp(argv[n], "--")) {
			r->more = argv + n + 1;
			r->more_count = argc - n - 1;
			break;
		}
		if (argv[n][0] == '-' && argv[n][1]) {
			if (run_take(r, argc, argv, &n, err) < 0)
				return err->code;
			continue;
		}
		if (r->image)
			return err_set(err, -EINVAL,
				       "one image at a time: '%s' and "
				       "'%s'; options of vmon itself "
				       "come behind '--'",
				       r->image, argv[n]);
		r->image = argv[n];
	}
	if (!r->image && !r->help && !r->disk)
		return err_set(err, -EINVAL,
			       "an image is missing: vmon run IMAGE");
	return 0;
}
