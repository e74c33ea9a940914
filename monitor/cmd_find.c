/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Commands that look for bytes in guest memory, and that change some.
 *
 * Looking may take long, so it happens on a worker; the session waits for it,
 * nobody else does.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/err.h"
#include "lib/work.h"
#include "monitor/expr.h"
#include "monitor/internal.h"
#include "vmm/debug.h"
#include "vmm/machine.h"
#include "vmm/memory.h"

#define PATTERN_MAX    256
#define FIND_BYTES_MAX (64 * GIB)
#define FIND_HITS      20 /* unless -n says more */
#define FIND_HITS_MAX  1000

/* What is looked for or written. */
struct pattern {
	u8 data[PATTERN_MAX];
	size_t len;
};

/* ---- values and strings ---- */

static int pattern_add(struct pattern *p, u64 v, u32 size, struct err *err)
{
	if (size > PATTERN_MAX - p->len)
		return err_set(err, -E2BIG, "more than %d bytes", PATTERN_MAX);
	for (u32 i = 0; i < size; i++)
		p->data[p->len++] = (u8)(v >> 8 * i);
	return 0;
}

/* Behind a backslash; moves *text on. */
static int pattern_escape(const char **text, struct err *err)
{
	static const char names[] = "nrt0\\\"'", bytes[] = "\n\r\t\0\\\"'";
	const char *s = *text, *at = *s ? strchr(names, *s) : NULL;
	char hex[3] = { 0 };

	if (at) {
		*text = s + 1;
		return (u8)bytes[at - names];
	}
	if (*s != 'x' || !isxdigit((unsigned char)s[1]) ||
	    !isxdigit((unsigned char)s[2]))
		return err_set(err, -EINVAL,
			       "what stands behind a backslash is one of "
			       "n r t 0 \\ \" ' or xNN");
	memcpy(hex, s + 1, 2);
	*text = s + 3;
	return (int)strtoul(hex, NULL, 16);
}

/* From behind the quotation mark. */
static int pattern_string(struct pattern *p, const char **text, struct err *err)
{
	const char *s = *text;
	int r = 0;

	while (*s != '"' && r >= 0) {
		r = (u8)*s++;
		if (!r)
			return err_set(err, -EINVAL, "the string has no end");
		if (r == '\\')
			r = pattern_escape(&s, err);
		if (r >= 0)
			r = pattern_add(p, (u64)r, 1, err);
	}
	*text = s + 1;
	return r;
}

static int pattern_value(struct pattern *p, const struct expr_env *env,
			 const char **text, u32 size, struct err *err)
{
	s64 v;
	int r = expr_eval(text, env, &v, err);

	if (r < 0)
		return r;
	/* With a sign or without. */
	if (size < 8 && (v >> (8 * size - 1) < -1 || v >> 8 * size > 0))
		return err_set(err, -ERANGE, "0x%llx does not fit into %u %s",
			       (unsigned long long)v, size,
			       size == 1 ? "byte" : "bytes");
	return pattern_add(p, (u64)v, size, err);
}

static int pattern_parse(struct monitor *mon, const char *text, u32 size,
			 struct pattern *p, struct err *err)
{
	struct expr_env env = { .reg = mon_register,
				.symbol = mon_find_symbol,
				.opaque = mon,
				.c = mon->set_expr_c };
	int r = 0;

	p->len = 0;
	while (r == 0) {
		while (isspace((unsigned char)*text))
			text++;
		if (!*text)
			break;
		if (*text == '"') {
			text++;
			r = pattern_string(p, &text, err);
		} else {
			r = pattern_value(p, &env, &text, size, err);
		}
	}
	if (r == 0 && !p->len)
		r = err_set(err, -EINVAL, "there are no bytes in that");
	return r;
}

/* ---- find ---- */

struct find {
	struct work work;
	struct monitor *mon;
	struct memory *mem;
	bool virtual;
	struct cpu_state cpu; /* translates when `virtual` */
	u64 addr, size;
	struct pattern pattern;
	u64 hit[FIND_HITS_MAX];
	u32 hits, hits_max;
};

/* Looks at `len` bytes that were read from `addr`. */
static void find_in(struct find *f, u64 addr, const u8 *data, size_t len)
{
	const u8 *at = data;

	while (f->hits < f->hits_max) {
		at = memmem(at, len - (at - data), f->pattern.data,
			    f->pattern.len);
		if (!at)
			return;
		f->hit[f->hits++] = addr + (at - data);
		at++;
	}
}

/* Within a page.  False: it is not there, or no RAM. */
static bool find_read(struct find *f, u64 addr, u8 *data, size_t len)
{
	gpa_t gpa = addr;

	if (f->virtual &&
	    !cpu_translate(&f->cpu, f->mem, addr, &gpa, NULL, NULL))
		return false;
	return mem_read(f->mem, gpa, data, len) == 0;
}

static void find_run(struct work *w)
{
	struct find *f = container_of(w, struct find, work);
	u8 data[PATTERN_MAX + PAGE_SIZE];
	size_t kept = 0, n, tail; /* kept: of what lies right before */

	for (u64 at = 0; at < f->size && f->hits < f->hits_max; at += n) {
		u64 addr = f->addr + at;

		n = MIN(f->size - at, PAGE_SIZE - (addr & (PAGE_SIZE - 1)));
		if (!find_read(f, addr, data + kept, n)) {
			kept = 0;
			continue;
		}
		find_in(f, addr - kept, data, kept + n);
		kept += n;
		/* What may be the begin of a match, but no match. */
		tail = MIN(kept, f->pattern.len - 1);
		memmove(data, data + kept - tail, tail);
		kept = tail;
	}
}

static void find_done(struct work *w)
{
	struct find *f = container_of(w, struct find, work);
	struct err err = { 0 };

	for (u32 i = 0; i < f->hits; i++) {
		u64 offset;
		const char *name = f->virtual ? mon_symbol(f->mon, f->hit[i],
							   &offset)
					      : NULL;

		mon_printf(f->mon, "0x%016llx", (unsigned long long)f->hit[i]);
		if (name)
			mon_printf(f->mon, " %s+%#llx", name,
				   (unsigned long long)offset);
		mon_puts(f->mon, "\n");
	}
	if (!f->hits)
		err_set(&err, -ENOENT, "not found");
	else if (f->hits == f->hits_max)
		mon_printf(f->mon, "no more than %u are shown\n", f->hits);
	mon_resume(f->mon, &err);
	free(f);
}

int cmd_find(struct monitor *mon, const struct args *a, struct err *err)
{
	const struct mem_fmt *fmt = args_fmt(a, "fmt");
	bool virtual = !args_has(a, "physical");
	const struct cpu_state *cpu = virtual ? mon_cpu(mon) : NULL;
	u64 max = args_has(a, "max") ? strtoul(args_str(a, "max"), NULL, 10)
				     : FIND_HITS;
	struct find *f;
	int r;

	if (virtual && !cpu)
		return err_set(err, -ENODEV, "No CPU available");
	if (max < 1 || max > FIND_HITS_MAX)
		return err_set(err, -EINVAL, "-n takes 1 to %d", FIND_HITS_MAX);
	if (args_u64(a, "size") > FIND_BYTES_MAX)
		return err_set(err, -E2BIG, "at most %llu GiB are searched",
			       FIND_BYTES_MAX / GIB);
	f = xalloc(sizeof *f);
	r = pattern_parse(mon, args_str(a, "what"), fmt->size ? fmt->size : 4,
			  &f->pattern, err);
	if (r < 0) {
		free(f);
		return r;
	}
	f->work.run = find_run;
	f->work.done = find_done;
	f->work.loop = mon->m->loop;
	f->mon = mon;
	f->mem = &mon->m->mem;
	f->virtual = virtual;
	if (virtual)
		f->cpu = *cpu;
	f->addr = args_u64(a, "addr");
	f->size = args_u64(a, "size");
	f->hits_max = (u32)max;
	mon_suspend(mon);
	work_submit(&f->work);
	return 0;
}

/* ---- poke ---- */

/* Where the byte at `addr` is; false: nowhere, or in no RAM. */
static bool poke_find(struct monitor *mon, const struct cpu_state *cpu,
		      u64 addr, size_t n, gpa_t *ret)
{
	struct memory *mem = &mon->m->mem;

	*ret = addr;
	return (!cpu || cpu_translate(cpu, mem, addr, ret, NULL, NULL)) &&
	       mem_ptr_rw(mem, *ret, n);
}

/* All of it or nothing. */
int cmd_poke(struct monitor *mon, const struct args *a, struct err *err)
{
	const struct mem_fmt *fmt = args_fmt(a, "fmt");
	bool virtual = !args_has(a, "physical");
	const struct cpu_state *cpu = virtual ? mon_cpu(mon) : NULL;
	u64 addr = args_u64(a, "addr");
	struct pattern p;
	gpa_t gpa;
	size_t n;
	int r = pattern_parse(mon, args_str(a, "what"),
			      fmt->size ? fmt->size : 4, &p, err);

	if (r < 0)
		return r;
	if (virtual && !cpu)
		return err_set(err, -ENODEV, "No CPU available");
	for (int write = 0; write < 2; write++) {
		for (size_t at = 0; at < p.len; at += n) {
			n = MIN(p.len - at,
				PAGE_SIZE - ((addr + at) & (PAGE_SIZE - 1)));
			if (!poke_find(mon, cpu, addr + at, n, &gpa))
				return err_set(err, -EFAULT,
					       "there is no RAM at "
					       "0x%016llx",
					       (unsigned long long)(addr + at));
			if (!write)
				continue;
			debug_hide(mon->m, gpa, p.data + at, n);
			mem_write(&mon->m->mem, gpa, p.data + at, n);
		}
	}
	return 0;
}
