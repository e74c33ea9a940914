/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Several front ends on one back end: one has the focus and gets the input,
 * all may write.  An escape byte (-echr) introduces commands.
 *
 * Input waits here for a front end that is slow.  One that takes nothing for
 * MUX_STALL_NS loses input, because behind a dead guest the user must still
 * get to the monitor.
 *
 * Locking: chardev/internal.h; stamps and `line_start` by out_lock.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "chardev/internal.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"

#define MUX_FRONTS   4
#define MUX_INPUT    (4 * KIB) /* waiting for one front end */
#define MUX_STALL_NS (2 * NS_PER_S)

struct mux_front {
	const struct chr_front *front; /* NULL: free */
	void *opaque;
	struct fifo input;
};

struct chr_mux {
	struct chardev chr;   /* front, opaque: of the one with the focus */
	struct chardev *base; /* owned */
	struct mux_front fronts[MUX_FRONTS];
	int focus;       /* -1: nobody is attached */
	bool escaped;    /* the last byte was the escape */
	u64 progress_ns; /* when the focus last took input */
	struct timer stall;

	bool stamps;
	bool line_start;
	u64 stamp_base_ns; /* 0: at the next line */
	char stamp[24];
	size_t stamp_len, stamp_at;
};

static struct chr_mux_ops mux_ops;
static u8 mux_escape = 1; /* Ctrl-A */

static const struct chardev_class mux_class;

void chr_mux_set_ops(const struct chr_mux_ops *ops)
{
	mux_ops = *ops;
}

void chr_mux_set_escape(u8 byte)
{
	mux_escape = byte;
}

bool chr_is_mux(const struct chardev *chr)
{
	return chr && chr->class == &mux_class;
}

/* -------------------------------------------------------------- focus */

static void mux_tell(struct chr_mux *s, int n, enum chr_event event)
{
	const struct chr_front *front = n >= 0 ? s->fronts[n].front : NULL;

	if (!front || !front->event)
		return;
	s->chr.calls++;
	front->event(s->fronts[n].opaque, event);
	s->chr.calls--;
}

static void mux_set_focus(struct chr_mux *s, int n)
{
	int old = s->focus;

	if (n == old)
		return;
	s->focus = n;
	s->chr.front = n >= 0 ? s->fronts[n].front : NULL;
	s->progress_ns = clock_mono_ns();
	mux_tell(s, old, CHR_FOCUS_OUT);
	mux_tell(s, n, CHR_FOCUS_IN);
	chr_accept_input(s->base);
}

static void mux_next_focus(struct chr_mux *s)
{
	for (int i = 1; i < MUX_FRONTS; i++) {
		int n = (s->focus + i) % MUX_FRONTS;

		if (s->fronts[n].front) {
			mux_set_focus(s, n);
			return;
		}
	}
}

static int mux_find(struct chr_mux *s, void *opaque)
{
	for (int n = 0; n < MUX_FRONTS; n++)
		if (s->fronts[n].front && s->fronts[n].opaque == opaque)
			return n;
	return -1;
}

void chr_mux_focus(struct chardev *chr, void *opaque)
{
	struct chr_mux *s = (struct chr_mux *)chr;
	int n = chr_is_mux(chr) ? mux_find(s, opaque) : -1;

	if (n >= 0)
		mux_set_focus(s, n);
}

static int mux_attach(struct chardev *chr, const struct chr_front *front,
		      void *opaque, struct err *err)
{
	struct chr_mux *s = (struct chr_mux *)chr;
	int n = 0;

	while (n < MUX_FRONTS && s->fronts[n].front)
		n++;
	if (n == MUX_FRONTS)
		return err_set(err, -EBUSY, "Device '%s' is in use",
			       chr->label);
	s->fronts[n].front = front;
	s->fronts[n].opaque = opaque;
	fifo_init(&s->fronts[n].input, MUX_INPUT);
	if (chr->peer)
		mux_tell(s, n, CHR_OPENED);
	if (s->focus < 0)
		mux_set_focus(s, n);
	return 0;
}

static void mux_detach(struct chardev *chr, void *opaque)
{
	struct chr_mux *s = (struct chr_mux *)chr;
	int n = mux_find(s, opaque);

	if (n < 0)
		return;
	s->fronts[n].front = NULL;
	fifo_fini(&s->fronts[n].input);
	if (n != s->focus)
		return;
	mux_next_focus(s);
	if (s->focus == n)
		mux_set_focus(s, -1);
}

/* ------------------------------------------------------------- escapes */

static void mux_print(struct chr_mux *s, const char *text)
{
	chr_write(s->base, text, strlen(text));
}

static void mux_help(struct chr_mux *s)
{
	static const struct {
		const char *key, *text;
	} rows[] = {
		{ "h ", "print this help" },
		{ "x ", "exit emulator" },
		{ "s ", "save disk data back to file (if -snapshot)" },
		{ "t ", "toggle console timestamps" },
		{ "b ", "send break (magic sysrq)" },
		{ "c ", "switch between console and monitor" },
	};
	struct buf out = { 0 };
	char name[8];

	buf_puts(&out, "\n\r");
	if (mux_escape > 0 && mux_escape <= 26) {
		snprintf(name, sizeof(name), "C-%c", mux_escape - 1 + 'a');
	} else {
		snprintf(name, sizeof(name), "0x%02x", mux_escape);
		buf_printf(&out, "Escape-Char set to Ascii: 0x%02x\n\r\n\r",
			   mux_escape);
	}
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		buf_printf(&out, "%s %s   %s\n\r", name, rows[i].key,
			   rows[i].text);
	buf_printf(&out, "%s %s  sends %s\n\r", name, name, name);
	mux_print(s, buf_str(&out));
	buf_fini(&out);
}

static void mux_toggle_stamps(struct chr_mux *s)
{
	lock_acquire(&s->chr.out_lock);
	s->stamps = !s->stamps;
	s->stamp_base_ns = 0;
	s->line_start = false;
	s->stamp_len = s->stamp_at = 0;
	lock_release(&s->chr.out_lock);
}

/* The byte after the escape. */
static void mux_command(struct chr_mux *s, u8 c)
{
	switch (c) {
	case '?':
	case 'h': mux_help(s); break;
	case 'x':
		mux_print(s, "QEMU: Terminated\n\r");
		if (mux_ops.quit)
			mux_ops.quit(mux_ops.arg);
		break;
	case 's':
		if (mux_ops.commit)
			mux_ops.commit(mux_ops.arg);
		break;
	case 't': mux_toggle_stamps(s); break;
	case 'b': chr_event(&s->chr, CHR_BREAK); break;
	case 'c': mux_next_focus(s); break;
	default: /* unknown keys are swallowed */ break;
	}
}

/* --------------------------------------------------------------- input */

/* What waits for front end `n`, as far as it takes it now. */
static void mux_deliver(struct chr_mux *s, int n)
{
	struct mux_front *f = &s->fronts[n];

	/* The call may detach it. */
	while (f->front && f->input.len) {
		const struct chr_front *front = f->front;
		const u8 *run;
		u8 data[256];
		size_t len = MIN(fifo_peek(&f->input, &run), sizeof(data));

		if (front->can_read)
			len = MIN(len, front->can_read(f->opaque));
		if (!len)
			break;
		memcpy(data, run, len);
		fifo_drop(&f->input, len);
		if (n == s->focus)
			s->progress_ns = clock_mono_ns();
		s->chr.calls++;
		if (front->read)
			front->read(f->opaque, data, len);
		s->chr.calls--;
	}
}

static void mux_deliver_all(struct chr_mux *s)
{
	for (int n = 0; n < MUX_FRONTS; n++)
		mux_deliver(s, n);
}

static size_t mux_can_read(void *opaque)
{
	struct chr_mux *s = opaque;
	u64 stalled_ns = s->progress_ns + MUX_STALL_NS;
	size_t room;

	if (s->focus < 0)
		return 0;
	room = fifo_room(&s->fronts[s->focus].input);
	if (room)
		return room;
	if (clock_mono_ns() >= stalled_ns)
		return CHR_CHUNK;
	timer_set(&s->stall, stalled_ns);
	return 0;
}

static void mux_on_stall(void *arg)
{
	struct chr_mux *s = arg;

	chr_accept_input(s->base);
}

static void mux_byte(struct chr_mux *s, u8 c)
{
	if (s->escaped && c != mux_escape) {
		s->escaped = false;
		mux_deliver_all(s); /* what came before, to whom it was typed */
		mux_command(s, c);
		return;
	}
	if (!s->escaped && c == mux_escape) {
		s->escaped = true;
		return;
	}
	s->escaped = false;
	if (s->focus >= 0)
		fifo_put(&s->fronts[s->focus].input, &c, 1);
}

static void mux_read(void *opaque, const u8 *data, size_t len)
{
	struct chr_mux *s = opaque;

	for (size_t i = 0; i < len; i++)
		mux_byte(s, data[i]);
	mux_deliver_all(s);
}

/* Of the base. */
static void mux_on_base(void *opaque, enum chr_event event)
{
	struct chr_mux *s = opaque;

	if (event == CHR_WRITABLE) {
		chr_flush(&s->chr);
		return;
	}
	if (event == CHR_OPENED || event == CHR_CLOSED)
		s->escaped = false;
	chr_event(&s->chr, event);
}

/* A break is for the one with the focus; what happens to the peer and to the
 * queue concerns all. */
static void mux_event(struct chardev *chr, enum chr_event event)
{
	struct chr_mux *s = (struct chr_mux *)chr;

	if (event == CHR_BREAK) {
		mux_tell(s, s->focus, event);
		return;
	}
	for (int n = 0; n < MUX_FRONTS; n++)
		mux_tell(s, n, event);
}

static void mux_accept_input(struct chardev *chr)
{
	struct chr_mux *s = (struct chr_mux *)chr;

	mux_deliver_all(s);
	chr_accept_input(s->base);
}

static const struct chr_front mux_base_front = {
	.can_read = mux_can_read,
	.read = mux_read,
	.event = mux_on_base,
};

/* -------------------------------------------------------------- output */

static void mux_make_stamp(struct chr_mux *s)
{
	u64 now = clock_mono_ns(), ms;

	if (!s->stamp_base_ns)
		s->stamp_base_ns = now;
	ms = (now - s->stamp_base_ns) / NS_PER_MS;
	s->stamp_at = 0;
	s->stamp_len =
		snprintf(s->stamp, sizeof(s->stamp), "[%02u:%02u:%02u.%03u] ",
			 (u32)(ms / 3600000) % 100, (u32)(ms / 60000 % 60),
			 (u32)(ms / 1000 % 60), (u32)(ms % 1000));
}

/* False when the base has no room for the rest of the stamp. */
static bool mux_put_stamp(struct chr_mux *s)
{
	if (s->line_start)
		mux_make_stamp(s);
	s->line_start = false;
	s->stamp_at += chr_write(s->base, s->stamp + s->stamp_at,
				 s->stamp_len - s->stamp_at);
	return s->stamp_at == s->stamp_len;
}

static ssize_t mux_write(struct chardev *chr, const u8 *data, size_t len)
{
	struct chr_mux *s = (struct chr_mux *)chr;
	size_t done = 0;

	if (!s->stamps)
		return chr_write(s->base, data, len);
	while (done < len) {
		const u8 *nl = memchr(data + done, '\n', len - done);
		size_t run = (nl ? nl + 1 : data + len) - (data + done), n;

		if (!mux_put_stamp(s))
			break;
		n = chr_write(s->base, data + done, run);
		done += n;
		s->line_start = nl && n == run;
		if (n < run)
			break;
	}
	return done;
}

/* ---------------------------------------------------------- life cycle */

static void mux_close(struct chardev *chr)
{
	struct chr_mux *s = (struct chr_mux *)chr;

	timer_cancel(&s->stall);
	for (int n = 0; n < MUX_FRONTS; n++)
		fifo_fini(&s->fronts[n].input);
	chr_detach(s->base, s);
	chr_destroy(s->base);
}

static void mux_set_line(struct chardev *chr, const struct chr_line *line)
{
	struct chr_mux *s = (struct chr_mux *)chr;

	chr_set_line(s->base, line);
}

static void mux_send_break(struct chardev *chr)
{
	struct chr_mux *s = (struct chr_mux *)chr;

	chr_send_break(s->base);
}

static int mux_descriptor(struct chardev *chr)
{
	struct chardev *base = ((struct chr_mux *)chr)->base;

	return base->class->descriptor ? base->class->descriptor(base) : -1;
}

static const struct chardev_class mux_class = {
	.name = "mux",
	.desc = "several front ends on one back end",
	.size = sizeof(struct chr_mux),
	.close = mux_close,
	.write = mux_write,
	.accept_input = mux_accept_input,
	.set_line = mux_set_line,
	.send_break = mux_send_break,
	.attach = mux_attach,
	.detach = mux_detach,
	.event = mux_event,
	.descriptor = mux_descriptor,
};

struct chardev *mux_create(struct loop *loop, const char *label,
			   struct chardev *base)
{
	struct chardev *chr = chr_alloc(&mux_class, loop, label);
	struct chr_mux *s = (struct chr_mux *)chr;

	s->base = base;
	s->focus = -1;
	timer_init(&s->stall, loop, mux_on_stall, s);
	chr_attach(base, &mux_base_front, s, NULL);
	chr_register(chr);
	return chr;
}
