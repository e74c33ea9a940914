/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon img`: from words to commands.
 */
#include "img/img.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/parse.h"

/* The bits of the tables. */
enum img_number {

#define IMG_COMMAND(name, operands, fewest, most, help) IMG_NUMBER_##name,
#include "img/commands.def"
#undef IMG_COMMAND
};

#define AMEND    BIT(IMG_NUMBER_amend)
#define BITMAP   BIT(IMG_NUMBER_bitmap)
#define CHECK    BIT(IMG_NUMBER_check)
#define COMMIT   BIT(IMG_NUMBER_commit)
#define COMPARE  BIT(IMG_NUMBER_compare)
#define CONVERT  BIT(IMG_NUMBER_convert)
#define CREATE   BIT(IMG_NUMBER_create)
#define DD       BIT(IMG_NUMBER_dd)
#define INFO     BIT(IMG_NUMBER_info)
#define MAP      BIT(IMG_NUMBER_map)
#define MEASURE  BIT(IMG_NUMBER_measure)
#define REBASE   BIT(IMG_NUMBER_rebase)
#define RESIZE   BIT(IMG_NUMBER_resize)
#define SNAPSHOT BIT(IMG_NUMBER_snapshot)
#define IMG_ALL  UINT64_MAX
#define IMG_MANY 1000000 /* operands */

#define IMG_LONG 256 /* getopt's value of option 0 without a letter */

static const struct img_command {
	const char *name, *operands;
	int fewest, most;
	int (*run)(const struct img *a);
	const char *help;
} img_commands[] = {

#define IMG_COMMAND(name, operands, fewest, most, help) \
	{ #name, operands, fewest, most, img_##name, help },
#include "img/commands.def"
#undef IMG_COMMAND
};

static const struct img_option {
	char letter;
	const char *name, *arg;
	size_t field;
	u64 commands;
	const char *help;
} img_option_rows[] = {

#define IMG_OPTION(letter, name, arg, field, commands, help) \
	{ letter, name, arg, offsetof(struct img, field), commands, help },
#include "img/options.def"
#undef IMG_OPTION
};

/* ---- Saying ---- */

int img_fail(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("vmon img: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return 1;
}

static int img_try_help(void)
{
	fputs("Try 'vmon img --help' for more information\n", stderr);
	return 1;
}

static void img_help(void)
{
	puts("usage: vmon img COMMAND [OPTION...] IMAGE...\n"
	     "Disk images, with the commands of qemu-img; raw and qcow2.\n");
	for (size_t i = 0; i < ARRAY_SIZE(img_commands); i++)
		printf("  %-8s %-16s %s\n", img_commands[i].name,
		       img_commands[i].operands, img_commands[i].help);
	puts("\n'vmon img COMMAND --help' lists the options of a command.");
}

static void img_command_help(const struct img_command *c)
{
	u64 bit = BIT(c - img_commands);

	printf("usage: vmon img %s [OPTION...] %s\n%s\n\n", c->name,
	       c->operands, c->help);
	for (size_t i = 0; i < ARRAY_SIZE(img_option_rows); i++) {
		const struct img_option *o = &img_option_rows[i];
		char *text;

		if (!(o->commands & bit))
			continue;
		text = xprintf("%s%c%s%s%s%s%s", o->letter ? "-" : " ",
			       o->letter ? o->letter : ' ',
			       o->letter && o->name ? ", " : "  ",
			       o->name ? "--" : "", o->name ? o->name : "",
			       o->arg ? " " : "", o->arg ? o->arg : "");
		printf("  %-26s %s\n", text, o->help);
		free(text);
	}
}

static int img_unknown(const char *word)
{
	struct buf names = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(img_commands); i++)
		buf_printf(&names, "%s%s", i ? ", " : "", img_commands[i].name);
	img_fail("Command not found: %s (there are %s)", word, buf_str(&names));
	buf_fini(&names);
	return img_try_help();
}

/* ---- Options ---- */

static void img_getopt_rows(u64 bit, struct buf *letters, struct option *rows)
{
	int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(img_option_rows); i++) {
		const struct img_option *o = &img_option_rows[i];

		if (!(o->commands & bit))
			continue;
		if (o->letter)
			buf_printf(letters, "%c%s", o->letter,
				   o->arg ? ":" : "");
		if (o->name)
			rows[n++] = (struct option){
				.name = o->name,
				.has_arg = o->arg ? required_argument
						  : no_argument,
				.val = (int)i + IMG_LONG,
			};
	}
	rows[n] = (struct option){ 0 };
}

static const struct img_option *img_option_found(u64 bit, int value)
{
	if (value >= IMG_LONG)
		return &img_option_rows[value - IMG_LONG];
	for (size_t i = 0; i < ARRAY_SIZE(img_option_rows); i++)
		if (img_option_rows[i].letter == value &&
		    img_option_rows[i].commands & bit)
			return &img_option_rows[i];
	return NULL;
}

/* `more` holds what several -o say together. */
static void img_set(struct img *a, const struct img_option *o, struct buf *more)
{
	const char **at = (const char **)((char *)a + o->field);

	if (o->field == offsetof(struct img, action)) {
		a->action = xrealloc(a->action,
				     (a->actions + 1) * sizeof(*a->action));
		a->action[a->actions++] =
			(struct img_action){ o->name, o->arg ? optarg : NULL };
		return;
	}
	*at = o->arg ? optarg : "";
	if (at != &a->options)
		return;
	if (more->len)
		buf_putc(more, ',');
	buf_puts(more, optarg);
	a->options = buf_str(more);
}

static int img_parse(struct img *a, const struct img_command *c, int argc,
		     char **argv, struct buf *more)
{
	struct option rows[ARRAY_SIZE(img_option_rows) + 1];
	u64 bit = BIT(c - img_commands);
	struct buf letters = { 0 };
	int value, bad = 0;

	img_getopt_rows(bit, &letters, rows);
	while (!bad && (value = getopt_long(argc, argv, buf_str(&letters), rows,
					    NULL)) != -1) {
		const struct img_option *o = img_option_found(bit, value);

		if (!o)
			bad = 1;
		else
			img_set(a, o, more);
	}
	buf_fini(&letters);
	a->operand = argv + optind;
	a->operands = argc - optind;
	return bad;
}

static int img_check_words(struct img *a, const struct img_command *c)
{
	struct image_mode mode;

	if (a->operands < c->fewest || a->operands > c->most) {
		img_fail("Expecting %s",
			 c->fewest > 1 ? c->operands : "one image file name");
		return img_try_help();
	}
	if (!img_cache_mode(a->cache, &mode))
		return img_fail("Invalid cache option: %s", a->cache);
	if (!img_cache_mode(a->src_cache, &mode)) {
		img_fail("Invalid source cache option: %s", a->src_cache);
		return c->run == img_compare ? 2 : 1;
	}
	if (a->image_opts && a->format)
		return img_fail("--image-opts and --format are mutually "
				"exclusive");
	a->json = a->output && !strcmp(a->output, "json");
	if (a->output && !a->json && strcmp(a->output, "human"))
		return img_fail("--output must be used with human or json as "
				"argument.");
	return 0;
}

static int img_run(const struct img_command *c, int argc, char **argv)
{
	struct buf more = { 0 };
	struct img a = { 0 };
	char *size = NULL;
	int status;

	/* "-1G" is no option there. */
	if (c->run == img_resize && argc > 2 && argv[argc - 1][0] == '-' &&
	    argv[argc - 1][1] != '-' && argv[argc - 1][1] != 'h')
		size = argv[--argc];
	status = img_parse(&a, c, argc, argv, &more);
	if (status) {
		img_try_help();
	} else if (a.help) {
		img_command_help(c);
	} else {
		char *words[2];

		if (size && a.operands == 1) {
			words[0] = a.operand[0];
			words[1] = size;
			a.operand = words;
			a.operands = 2;
		}
		status = img_check_words(&a, c);
		if (status == 0)
			status = c->run(&a);
	}
	buf_fini(&more);
	free(a.action);
	return status;
}

int img_main(int argc, char **argv)
{
	static char name[] = "vmon img";

	if (argc < 1) {
		img_fail("Not enough arguments");
		return img_try_help();
	}
	if (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h")) {
		img_help();
		return 0;
	}
	if (!strcmp(argv[0], "--version") || !strcmp(argv[0], "-V")) {
		puts("vmon img version " VMON_VERSION);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(img_commands); i++) {
		if (strcmp(argv[0], img_commands[i].name))
			continue;
		argv[0] = name;
		return img_run(&img_commands[i], argc, argv);
	}
	return img_unknown(argv[0]);
}

/* ---- What commands share ---- */

struct image *img_open(const struct img *a, const char *path,
		       const char *format, const struct image_mode *mode)
{
	struct image_mode own = *mode;
	struct err err = { 0 };
	struct image *i;

	own.unlocked = a->share && !mode->write;
	i = image_open(path, format, &own, &err);
	if (!i)
		img_fail("Could not open '%s': %s", path, err.msg);
	return i;
}

struct image *img_open_operand(const struct img *a, const char *text,
			       const char *format,
			       const struct image_mode *mode)
{
	struct image_mode own = *mode;

	own.unlocked |= a->share && !mode->write;
	return a->image_opts ? img_open_opts(text, &own)
			     : img_open(a, text, format, &own);
}

bool img_cache_mode(const char *word, struct image_mode *mode)
{
	static const struct {
		const char *name;
		bool direct, no_flush, through;
	} modes[] = {
		{ "none", true, false, false },
		{ "off", true, false, false },
		{ "directsync", true, false, true },
		{ "writeback", false, false, false },
		{ "writethrough", false, false, true },
		{ "unsafe", false, true, false },
	};

	for (size_t i = 0; word && i < ARRAY_SIZE(modes); i++) {
		if (strcmp(modes[i].name, word))
			continue;
		mode->direct = modes[i].direct;
		mode->no_flush = modes[i].no_flush;
		mode->through = modes[i].through;
		return true;
	}
	return !word;
}

int img_rate(const struct img *a, u64 *ret)
{
	*ret = 0;
	if (!a->rate || (parse_size(a->rate, 1, ret) == 0 && *ret <= INT64_MAX))
		return 0;
	return img_fail("Invalid rate limit specified: '%s'. You may use k, M, "
			"G, T, P or E suffixes",
			a->rate);
}

void img_rate_wait(u64 per_second, u64 start, u64 done)
{
	u64 now = clock_mono_ns() - start, left;
	double due =
		per_second ? (double)done / (double)per_second * NS_PER_S : 0;
	struct timespec t;

	if (due <= (double)now)
		return;
	left = (u64)MIN(due - (double)now, 1e18);
	t.tv_sec = left / NS_PER_S;
	t.tv_nsec = left % NS_PER_S;
	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

void img_progress(const struct img *a, double *shown, u64 done, u64 total)
{
	double part = total ? 100.0 * (double)done / (double)total : 100;

	if (!a->progress || a->quiet || (part < *shown + 1 && done))
		return;
	*shown = part;
	printf("    (%.2f/100%%)\r", part);
	fflush(stdout);
}

void img_progress_end(const struct img *a)
{
	if (a->progress && !a->quiet)
		puts("    (100.00/100%)");
}
