/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Character devices: one seam between a front end (a UART, a monitor, a
 * virtio console port) and a back end (stdio, pty, tty, socket, ...).
 *
 * A back end owns its file descriptors and watches them on the main loop.
 * At most one front end is attached (a mux offers several).  Output never
 * blocks: what the peer does not take at once is queued up to a bound that
 * the front end may ask about, so a dead terminal stalls nobody.
 *
 * Locking: everything needs machine_lock or runs before the loop, except
 * chr_write() and chr_queued(), which any thread may call.  The program
 * ignores SIGPIPE.
 */
#ifndef CHARDEV_CHARDEV_H
#define CHARDEV_CHARDEV_H

#include <sys/types.h>

#include "lib/list.h"
#include "lib/opt.h"
#include "lib/types.h"

struct buf;
struct chardev;
struct err;
struct loop;

enum chr_event {
	CHR_OPENED,   /* a peer is there */
	CHR_CLOSED,   /* the peer went away */
	CHR_BREAK,    /* serial break from the peer */
	CHR_FOCUS_IN, /* mux: this front end got the focus */
	CHR_FOCUS_OUT,
	CHR_WRITABLE, /* queue fell below its low mark after chr_write()
		       * took less than it was given */
};

/* The front end's half; all may be NULL. */
struct chr_front {
	/* How many bytes it would take now; 0 stops reading from the peer
	 * until chr_accept_input(). */
	size_t (*can_read)(void *opaque);
	void (*read)(void *opaque, const u8 *data, size_t len);
	void (*event)(void *opaque, enum chr_event event);
	/* From now on it is this one, attached already (chr_change()).  NULL:
	 * a front end that cannot do without the one it has. */
	void (*change)(void *opaque, struct chardev *chr);
};

/* Modem and line settings a UART passes down; tty back ends use them. */
struct chr_line {
	u32 baud;
	u8 data_bits, stop_bits;
	char parity; /* 'N' 'E' 'O' */
};

/* Class of a back end; one const struct at the end of its file. */
struct chardev_class {
	const char *name; /* "pty", "socket", ... */
	const char *desc;
	size_t size; /* of the instance; struct chardev is first */
	const struct option_row *options;

	int (*open)(struct chardev *chr, struct err *err);
	void (*close)(struct chardev *chr); /* accepts half-open */
	/* Takes up to len bytes without blocking; returns bytes taken (0: try
	 * after the next writable report) or -errno (peer is gone: dropped).
	 * Called with the output lock, from any thread. */
	ssize_t (*write)(struct chardev *chr, const u8 *data, size_t len);
	/* Output waits (on): call chr_flush() when the peer can take some.
	 * NULL when write() always takes everything. */
	void (*poll_output)(struct chardev *chr, bool on);
	/* Front end will take input again. */
	void (*accept_input)(struct chardev *chr);
	void (*set_line)(struct chardev *chr, const struct chr_line *line);
	void (*send_break)(struct chardev *chr);
	/* "pty:/dev/pts/3", as `info chardev` shows it; NULL: the name. */
	void (*filename)(struct chardev *chr, struct buf *out);
	/* A descriptor that the peer sent; -ENOENT. */
	int (*take_fd)(struct chardev *chr);
	/* The terminal or socket, borrowed; NULL: it has none. */
	int (*descriptor)(struct chardev *chr);
	/* What the peer said of its window; false: nothing.  NULL: it cannot. */
	bool (*window)(struct chardev *chr, u32 *ret_columns, u32 *ret_rows);
	/* Takes leave of the peer, later; NULL: it cannot. */
	void (*hang_up)(struct chardev *chr);
	/* For a back end with several front ends (mux); else NULL. */
	int (*attach)(struct chardev *chr, const struct chr_front *front,
		      void *opaque, struct err *err);
	void (*detach)(struct chardev *chr, void *opaque);
	void (*event)(struct chardev *chr, enum chr_event event);
};

extern const struct chardev_class *const chardev_classes[]; /* NULL-ended */

/* Creation.  `loop` is the main loop.  The text forms are QEMU's:
 * chr_create_opts(): "pty,id=x,logfile=..." (-chardev), parsed with
 * "backend" as the implied key;
 * chr_create_short(): "pty", "tcp::4444,server=on", "/dev/pts/3",
 * "mon:stdio" (-serial, -monitor) with the label given; "mon:" makes a mux,
 * to which the caller attaches the monitor; "chardev:ID" finds one that
 * exists.  The caller handles "none". */
struct chardev *chr_create_opts(struct loop *loop, struct opts *o,
				struct err *err);
struct chardev *chr_create_short(struct loop *loop, const char *text,
				 const char *label, struct err *err);
/* Where "char device redirected to ..." of ptys goes; NULL: stdout. */
void chr_set_notices(struct buf *out);
/* -EBUSY while a front end is attached. */
int chr_remove(struct chardev *chr, struct err *err);
/* Another back end, as for chr_create_opts() but without an id, takes the
 * place and label of `chr` under its front end, which sees one peer go and
 * the next come.  On failure all is as it was. */
int chr_change(struct chardev *chr, struct opts *o, struct err *err);
/* At exit, when no front end uses its chardev any more: gives the peers up
 * to half a second to take what is queued, restores terminals. */
void chr_remove_all(void);
void chr_stdio_resume(void); /* on SIGCONT: raw mode again */
/* From now on: "cannot use stdio with WHAT". */
void chr_stdio_forbid(const char *what);
struct chardev *chr_find(const char *label);
/* In creation order; NULL starts, returns NULL at the end. */
struct chardev *chr_next(struct chardev *chr);
const char *chr_label(const struct chardev *chr);
void chr_filename(struct chardev *chr, struct buf *out);
bool chr_attached(const struct chardev *chr); /* front end present */
bool chr_open(const struct chardev *chr);     /* peer present */
/* Appends to `out` what a front end has written since the first `from` bytes,
 * as far back as is remembered; returns how many there have been. */
u64 chr_tail(struct chardev *chr, u64 from, struct buf *out);
/* Input as if from the peer, as much as the front end takes now; returns how
 * much.  Not for a mux. */
size_t chr_inject(struct chardev *chr, const void *data, size_t len);
/* Size of the terminal behind it; false: there is none, or it has none. */
bool chr_window(struct chardev *chr, u32 *ret_columns, u32 *ret_rows);
/* Takes leave of the peer once it has what is queued; false: there is no way to
 * do that. */
bool chr_hang_up(struct chardev *chr);
/* Who is at the other end of its Unix socket; false: nobody knows. */
bool chr_peer(struct chardev *chr, u32 *ret_pid, u32 *ret_uid);
/* A guest asked for a login since chr_forget_login(): wrote "login: ". */
bool chr_saw_login(struct chardev *chr);
void chr_forget_login(struct chardev *chr);
/* When that was, and when the first byte came, of CLOCK_MONOTONIC; 0: not. */
void chr_times(struct chardev *chr, u64 *ret_first_ns, u64 *ret_login_ns);

/* Option row type: struct chardev *, named by its id. */
extern const struct opt_type opt_chardev;

/* Front end side.  NULL chr is legal everywhere and discards.  With a peer
 * already there, CHR_OPENED comes from inside chr_attach(). */
int chr_attach(struct chardev *chr, const struct chr_front *front, void *opaque,
	       struct err *err); /* -EBUSY */
void chr_detach(struct chardev *chr, void *opaque);
/* From now on descriptors that a Unix socket's peer sends are kept, those of
 * the latest message; chr_take_fd() hands them out.  -ENOENT: none. */
void chr_want_fds(struct chardev *chr);
int chr_take_fd(struct chardev *chr);
/* Queues all that fits; returns bytes taken, len when chr is NULL.  With a
 * back end that has no peer, keeps the newest bytes (pty) or discards. */
size_t chr_write(struct chardev *chr, const void *data, size_t len);
size_t chr_queued(struct chardev *chr);
/* May call the front end's read() before it returns. */
void chr_accept_input(struct chardev *chr);
void chr_set_line(struct chardev *chr, const struct chr_line *line);
void chr_send_break(struct chardev *chr); /* to the peer's line */
/* The front end sees CHR_BREAK as if the peer had sent it. */
void chr_inject_break(struct chardev *chr);

/* Mux: up to four front ends, the first attached has the focus at first;
 * the user switches in order of attaching.  A front end has no focus until
 * CHR_FOCUS_IN says so. */
void chr_mux_focus(struct chardev *chr, void *opaque);

struct chr_mux_ops { /* what C-a x and C-a s do; set by main */
	void (*quit)(void *arg);
	void (*commit)(void *arg);
	void *arg;
};

void chr_mux_set_ops(const struct chr_mux_ops *ops);
void chr_mux_set_escape(u8 byte); /* -echr */
bool chr_is_mux(const struct chardev *chr);

/* ringbuf_read / ringbuf_write of the monitor; -EINVAL if not a ringbuf. */
ssize_t chr_ring_read(struct chardev *chr, u8 *data, size_t len);
ssize_t chr_ring_write(struct chardev *chr, const u8 *data, size_t len);

#endif
