/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * serial: typing into a serial port of the guest, and waiting for what it
 * writes there, beside whatever terminal is connected.
 *
 * A session remembers up to where it has looked, so that what came between
 * two commands is not lost.
 */
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chardev/chardev.h"
#include "lib/alloc.h"
#include "lib/err.h"
#include "monitor/internal.h"
#include "monitor/monitor.h"

#define SERIAL_SECONDS 10 /* when nothing else is said */
#define SERIAL_LINES   10

/* A send or an expect that goes on. */
struct serial_wait {
	char label[64];
	char *text; /* owned; what is sent */
	size_t at, len;
	regex_t regex;
	u64 looked; /* output up to here is known not to match */
};

/* Is it a device of the guest that uses this one, and nothing else? */
static bool serial_is_port(const struct chardev *chr)
{
	return chr_label(chr)[0] != '#' && strcmp(chr_label(chr), "gdb") &&
	       !monitor_uses(chr) && !chr_is_mux(chr) && chr_attached(chr);
}

static struct chardev *serial_find(const char *label, struct err *err)
{
	struct chardev *chr = NULL;

	if (label) {
		chr = chr_find(label);
		if (!chr)
			err_set(err, -ENODEV, "Chardev '%s' not found", label);
		else if (chr_is_mux(chr))
			err_set(err, -ENOTSUP,
				"'%s' is shared with a monitor or another port",
				label);
		else if (serial_is_port(chr))
			return chr;
		else
			err_set(err, -EINVAL,
				"'%s' is not connected to a port of the guest",
				label);
		return NULL;
	}
	while ((chr = chr_next(chr)))
		if (serial_is_port(chr))
			return chr;
	err_set(err, -ENODEV, "there is no serial port of its own");
	return NULL;
}

/* Where this session has looked up to. */
static u64 *serial_mark(struct monitor *mon, const char *label)
{
	if (strcmp(mon->serial_of, label)) {
		snprintf(mon->serial_of, sizeof mon->serial_of, "%s", label);
		mon->serial_at = 0;
	}
	return &mon->serial_at;
}

static void serial_free(void *arg)
{
	struct serial_wait *s = arg;

	if (s->text)
		free(s->text);
	else
		regfree(&s->regex);
	free(s);
}

/* ---- send ---- */

static int serial_send_more(struct monitor *mon, void *arg, struct err *err)
{
	struct serial_wait *s = arg;
	struct chardev *chr = serial_find(s->label, err);

	if (!chr)
		return err->code;
	s->at += chr_inject(chr, s->text + s->at, s->len - s->at);
	return s->at == s->len;
}

static int serial_send(struct monitor *mon, struct chardev *chr,
		       const char *text, struct err *err)
{
	struct serial_wait *s;
	struct buf seen = { 0 };

	if (!text)
		return err_set(err, -EINVAL, "send takes a text");
	*serial_mark(mon, chr_label(chr)) = chr_tail(chr, UINT64_MAX, &seen);
	buf_fini(&seen);
	s = xalloc(sizeof *s);
	snprintf(s->label, sizeof s->label, "%s", chr_label(chr));
	s->text = xstrdup(text);
	s->len = strlen(text);
	wait_poll(mon, SERIAL_SECONDS, serial_send_more, serial_free, s,
		  "the guest has not taken all of it");
	return 0;
}

/* ---- expect ---- */

/* The line in which `text` was found, up to its end. */
static void serial_show(struct monitor *mon, const char *text, size_t from,
			size_t to)
{
	struct buf line = { 0 };

	while (from > 0 && text[from - 1] != '\n')
		from--;
	for (; from < to; from++)
		if ((u8)text[from] >= 0x20 && text[from] != 0x7f)
			buf_putc(&line, text[from]);
		else if (text[from] == '\n')
			buf_putc(&line, '\n');
	mon_printf(mon, "%s\n", buf_str(&line));
	buf_fini(&line);
}

static int serial_look(struct monitor *mon, void *arg, struct err *err)
{
	struct serial_wait *s = arg;
	struct chardev *chr = serial_find(s->label, err);
	struct buf text = { 0 };
	regmatch_t hit;
	u64 *mark, end;
	int r = 0;

	if (!chr)
		return err->code;
	mark = serial_mark(mon, s->label);
	end = chr_tail(chr, *mark, &text);
	if (end != s->looked) {
		/* Of a line's end, too; and a NUL would end it all. */
		for (size_t i = 0; i < text.len; i++) {
			if (text.data[i] == '\r')
				text.data[i] = '\n';
			else if (!text.data[i])
				text.data[i] = ' ';
		}
		r = !regexec(&s->regex, buf_str(&text), 1, &hit, 0);
	}
	s->looked = end;
	if (r) {
		serial_show(mon, text.data, hit.rm_so, hit.rm_eo);
		*mark = end - text.len + hit.rm_eo;
	}
	buf_fini(&text);
	return r;
}

static int serial_expect(struct monitor *mon, struct chardev *chr,
			 const char *text, const char *limit, struct err *err)
{
	struct serial_wait *s;
	double seconds = SERIAL_SECONDS;
	char why[128];
	int r = limit ? mon_parse_seconds("expect ", limit, &seconds, err) : 0;

	if (r < 0)
		return r;
	if (!text)
		return err_set(err, -EINVAL,
			       "expect takes a regular expression");
	s = xalloc(sizeof *s);
	r = regcomp(&s->regex, text, REG_EXTENDED | REG_NEWLINE);
	if (r) {
		regerror(r, &s->regex, why, sizeof why);
		free(s);
		return err_set(err, -EINVAL, "'%s': %s", text, why);
	}
	s->looked = UINT64_MAX;
	snprintf(s->label, sizeof s->label, "%s", chr_label(chr));
	wait_poll(mon, seconds, serial_look, serial_free, s,
		  "that was not written");
	return 0;
}

/* ---- tail ---- */

static int serial_tail(struct monitor *mon, struct chardev *chr,
		       const char *count, struct err *err)
{
	struct buf text = { 0 };
	u64 lines = SERIAL_LINES;
	size_t from;

	if (count) {
		char *end;

		lines = strtoul(count, &end, 10);
		if (*end || !lines)
			return err_set(err, -EINVAL,
				       "tail takes a number of lines");
	}
	chr_tail(chr, 0, &text);
	buf_drop(&text, '\r');
	buf_drop(&text, '\0');
	from = text.len;
	while (from > 0 && lines) {
		from--;
		if (from > 0 && text.data[from - 1] == '\n')
			lines--;
	}
	if (text.len > from)
		serial_show(mon, text.data + from, 0,
			    text.len - from -
				    (text.data[text.len - 1] == '\n'));
	buf_fini(&text);
	return 0;
}

int cmd_serial(struct monitor *mon, const struct args *a, struct err *err)
{
	struct chardev *chr = serial_find(args_str(a, "chardev"), err);
	const char *op = args_str(a, "op"), *text = args_str(a, "text");

	if (!chr)
		return err->code;
	if (!strcmp(op, "send"))
		return serial_send(mon, chr, text, err);
	if (!strcmp(op, "expect"))
		return serial_expect(mon, chr, text, args_str(a, "seconds"),
				     err);
	if (!strcmp(op, "tail"))
		return serial_tail(mon, chr, text, err);
	return err_set(err, -EINVAL,
		       "'%s' is not what it does; accepted: send, expect, tail",
		       op);
}
