/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The command line under noise: options, CPU models, properties of every
 * device.  Nothing is created; each mistake gives one line.  FUZZ_SECONDS
 * and FUZZ_SEED in the environment.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/opt.h"
#include "vmm/config.h"
#include "vmm/cpu_models.h"
#include "vmm/device.h"
#include "vmm/machine.h"

static u32 rnd_state;

static u32 rnd(u32 below)
{
	rnd_state = rnd_state * 1664525 + 1013904223;
	return (rnd_state >> 8) % below;
}

static double fuzz_seconds(void)
{
	const char *s = getenv("FUZZ_SECONDS");

	return s ? atof(s) : 1;
}

static const char *const options[] = {

#define OPTION(names, has_arg, handler, arg, help) names,
#include "vmm/options.def"
#undef OPTION
};

static const char *const words[] = {
	"on",      "off",       "auto",
	"yes",     "no",        "0",
	"1",       "-1",        "4096",
	"0x10",    "1G",        "1.5T",
	"99999",   "1e9",       "18446744073709551616",
	"pc",      "help",      "?",
	"none",    "host",      "max",
	"qemu64",  "EPYC-v2",   "utc",
	"order",   "base",      "type",
	"accel",   "cpus",      "cores",
	"size",    "maxcpus",   "threads",
	"sockets", "timestamp", "id",
	"file",    "clock",     "driftfix",
	"menu",    "reboot",    "+avx",
	"-sse2",   "+nosuch",   "vendor",
	"family",  "model-id",  "guest",
	"kvm",     "tcg",       "2020-02-29T12:00:00",
	"%s%n",    "\x80\xff",  "driver",
	"check",   "enforce",
};

static void put_word(struct buf *b)
{
	u32 n = rnd(20);

	if (n == 0)
		for (int i = rnd(300); i > 0; i--)
			buf_putc(b, 1 + rnd(255));
	else if (n > 1)
		buf_puts(b, words[rnd(ARRAY_SIZE(words))]);
}

/* "word=word,word,,word" and less plausible. */
static char *make_value(const struct option_row *rows, int nrows)
{
	static const char *const glue[] = { "=", "=", ",", ",", ",,", ":", "" };
	struct buf b = { 0 };
	char *text;

	for (int i = rnd(7); i >= 0; i--) {
		if (nrows && rnd(2))
			buf_printf(&b, "%s=", rows[rnd(nrows)].name);
		put_word(&b);
		buf_puts(&b, i ? glue[rnd(ARRAY_SIZE(glue))] : "");
	}
	text = xstrdup(buf_str(&b));
	buf_fini(&b);
	return text;
}

/* One of the names in "a|b|c" with a dash or two. */
static char *make_option(void)
{
	const char *names = options[rnd(ARRAY_SIZE(options))];
	size_t len;

	while (strchr(names, '|') && rnd(2))
		names = strchr(names, '|') + 1;
	len = strcspn(names, "|");
	return xprintf("%s%.*s", rnd(4) ? "-" : "--", (int)len, names);
}

static void check_line(const struct err *err)
{
	ck_assert(err->code < 0);
	ck_assert(err->msg[0]);
}

static void fuzz_config(void)
{
	char *argv[9] = { xstrdup("vmon") };
	int argc = 1 + rnd(8);
	struct err err = { 0 };
	struct config c;

	for (int i = 1; i < argc; i++)
		argv[i] = rnd(2) ? make_option() : make_value(NULL, 0);
	config_init(&c);
	if (config_parse(&c, argc, argv, &err) == CONFIG_FAIL)
		check_line(&err);
	config_fini(&c);
	for (int i = 0; i < argc; i++)
		free(argv[i]);
}

static void fuzz_cpu(void)
{
	u32 avail[CPUID_WORDS], out[4];
	char *text = make_value(NULL, 0);
	struct topology topo = { 4, 4, 2, 2, 1 };
	struct cpu_model model;
	struct err err = { 0 };

	for (int i = 0; i < CPUID_WORDS; i++)
		avail[i] = rnd(2) ? UINT32_MAX : rnd(UINT32_MAX);
	if (cpu_model_parse(text, "max", avail, &model, &err) < 0)
		check_line(&err);
	else
		for (int i = 0; i < 20; i++)
			cpu_model_cpuid(&model, &topo, rnd(4),
					(rnd(2) ? 0x80000000 : 0) + rnd(40),
					rnd(5), out);
	free(text);
}

/* Rows of kinds that look things up are left out: nothing is there. */
static bool row_is_plain(const struct option_row *row)
{
	static const struct opt_type *const plain[] = {
		&opt_bool, &opt_onoffauto, &opt_u8,  &opt_u16,  &opt_u32,
		&opt_u64,  &opt_size,      &opt_str, &opt_enum, &opt_mac,
	};

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		if (row->type == plain[i])
			return true;
	return false;
}

static void fuzz_device(const struct device_class *class)
{
	struct option_row rows[64];
	struct buf out = { 0 };
	struct err err = { 0 };
	struct opts o;
	int n = 0;
	void *owner;
	char *text;

	for (const struct option_row *r = class->options; r && r->name; r++)
		if (row_is_plain(r) && n < 63)
			rows[n++] = *r;
	rows[n] = (struct option_row)OPTION_END;
	text = make_value(rows, n);
	owner = xalloc(class->size);
	if (opts_parse(&o, text, rnd(2) ? "driver" : NULL, &err) < 0) {
		check_line(&err);
	} else {
		if (opts_apply(&o, rows, owner, &err) < 0 ||
		    opts_check_used(&o, rows, &err) < 0)
			check_line(&err);
		opts_format(&o, &out);
		opts_fini(&o);
		opt_rows_fini(rows, owner);
	}
	buf_fini(&out);
	free(owner);
	free(text);
}

START_TEST(options_survive_noise)
{
	u64 end = clock_mono_ns() + fuzz_seconds() * NS_PER_S, n = 0;
	int null = open("/dev/null", O_WRONLY), out = dup(1), said = dup(2);
	int nclasses = 0;

	rnd_state = getenv("FUZZ_SEED") ? atoi(getenv("FUZZ_SEED")) : 5;
	printf("option noise: FUZZ_SEED=%u\n", rnd_state);
	fflush(stdout);
	while (device_classes[nclasses])
		nclasses++;
	/* Lists go to stdout, warnings to stderr. */
	dup2(null, 1);
	dup2(null, 2);
	do {
		fuzz_config();
		fuzz_cpu();
		fuzz_device(device_classes[rnd(nclasses)]);
		n++;
	} while (clock_mono_ns() < end);
	fflush(stdout);
	dup2(out, 1);
	dup2(said, 2);
	printf("%llu rounds\n", (unsigned long long)n);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("vmm_options");
	TCase *tc = tcase_create("vmm_options");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60 + 2 * fuzz_seconds());
	tcase_add_test(tc, options_survive_noise);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
