/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the chardev core offers to its back ends.
 */
#ifndef CHARDEV_INTERNAL_H
#define CHARDEV_INTERNAL_H

#include "chardev/chardev.h"
#include "chardev/fifo.h"
#include "lib/lock.h"
#include "lib/loop.h"

#define CHR_CHUNK     4096       /* bytes handed to a front end at once */
#define CHR_TURN      (64 * KIB) /* bytes moved per callback */
#define CHR_FDS_MAX   16         /* descriptors in one message */
#define CHR_QUEUE_MAX (1 * MIB)  /* output waiting for the peer */
#define CHR_TAIL_MAX  (64 * KIB)
#define CHR_QUEUE_LOW (256 * KIB) /* below it CHR_WRITABLE is sent */

/* Locking: the fields from out_lock on are guarded by it, a leaf (a mux takes
 * its own before that of its base); the others by machine_lock. */
struct chardev {
	const struct chardev_class *class;
	struct loop *loop;
	char *label; /* owned */
	struct list node;

	/* Options of every back end. */
	bool mux;
	bool logappend;
	char *logfile;
	u64 logmax;

	const struct chr_front *front; /* NULL: nobody is attached */
	void *opaque;
	bool wants_fds;
	bool peer; /* CHR_OPENED was the last event */
	int calls; /* into the front end, under way */

	struct lock out_lock;
	struct fifo out;
	struct fifo tail; /* the latest output, taken or not */
	u64 written;      /* all of it, in bytes */
	int log_fd;       /* -1: no log */
	char *log_path;   /* owned; with logmax: the log, from anywhere */
	u64 logged;       /* bytes in it */
	int drain_fd;     /* to wait on at exit; -1: nothing to wait for */
	bool starved;     /* chr_write() took less: CHR_WRITABLE is owed */
	bool flush_asked; /* posted to the loop */
	bool out_polled;  /* the back end waits for the peer */
	u8 login_at;      /* how much of CHR_LOGIN came last */
	u64 login_ns;     /* when all of it came; 0: it has not */
	u64 first_ns;     /* when anything came */
};

/* Options `mux`, `logfile`, `logappend`, `logmax`. */
extern const struct option_row chr_common_options[];

/* Peer came, went, or sent a break: tells the front end. */
void chr_event(struct chardev *chr, enum chr_event event);
/* Bytes the front end takes now; 0 without one. */
size_t chr_can_read(struct chardev *chr);
void chr_input(struct chardev *chr, const u8 *data, size_t len);
/* Hands queued output to write(), a bounded amount; machine_lock. */
void chr_flush(struct chardev *chr);
/* Forgets queued output: it was meant for a peer that left. */
void chr_output_clear(struct chardev *chr);
/* Queues what chr_tail() gives, for a peer who was not there; machine_lock, and
 * there is no peer yet. */
void chr_queue_tail(struct chardev *chr);
void chr_notice(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Makes a chardev of `class` that options have not touched yet. */
struct chardev *chr_alloc(const struct chardev_class *class, struct loop *loop,
			  const char *label);
void chr_register(struct chardev *chr);
void chr_destroy(struct chardev *chr); /* registered or not */

/* A mux over `base`, which it then owns. */
struct chardev *mux_create(struct loop *loop, const char *label,
			   struct chardev *base);

/* Input and output over file descriptors, for most back ends.
 *
 * Reads only what the front end takes, at most CHR_TURN a callback.  Output
 * goes through chr_fd_write() as the class's write().  The descriptors are
 * non-blocking and may be the same; -1 means none. */
struct chr_fd {
	struct chardev *chr;
	int in;        /* machine_lock */
	int out;       /* out_lock */
	bool sock;     /* out is a socket */
	bool out_dead; /* out_lock: write failed, the peer is gone */
	bool eof;      /* no more input */
	bool held;     /* may_read() said no; the owner clears it */
	bool want_out;
	int fds[CHR_FDS_MAX]; /* owned; what the peer sent */
	int nfds;
	struct watch in_watch, out_watch;
	/* Input ended: code 0 (end of file) or -errno.  May close this. */
	void (*ended)(struct chardev *chr, int code);
	/* May be NULL: is reading allowed at this moment? */
	bool (*may_read)(void);
	/* May be NULL: rewrites input in place, returns what is left. */
	size_t (*filter)(struct chardev *chr, u8 *data, size_t len);
};

void chr_fd_init(struct chr_fd *f, struct chardev *chr,
		 void (*ended)(struct chardev *chr, int code));
/* Starts watching; the descriptors now belong to `f`. */
int chr_fd_start(struct chr_fd *f, int in, int out);
/* Stops watching and gives the descriptors back, unclosed. */
void chr_fd_stop(struct chr_fd *f);
void chr_fd_close(struct chr_fd *f); /* stops, closes; idempotent */
bool chr_fd_active(const struct chr_fd *f);
void chr_fd_update(struct chr_fd *f); /* after the front end's mind changed */
int chr_fd_take(struct chr_fd *f);    /* chr_take_fd() */
ssize_t chr_fd_write(struct chr_fd *f, const u8 *data, size_t len);
void chr_fd_poll_output(struct chr_fd *f, bool on);

#endif
