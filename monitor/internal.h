/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to monitor/: a session, the command tables and what handlers use.
 *
 * A command is a row in commands.def and a function cmd_NAME().  A query is
 * a row in info.def, a function query_NAME() that fills a value tree, and a
 * function print_NAME() that turns the tree into QEMU's text; a print
 * function sees nothing but the tree.
 */
#ifndef MONITOR_INTERNAL_H
#define MONITOR_INTERNAL_H

#include <jansson.h>

#include "lib/buf.h"
#include "lib/list.h"
#include "lib/types.h"
#include "monitor/args.h"
#include "monitor/filter.h"
#include "monitor/readline.h"
#include "monitor/roles.h"
#include "monitor/script.h"
#include "vmm/cpu.h"

struct chardev;
struct device;
struct err;
struct machine;
struct option_row;
struct vcpu;

#define MON_INPUT_MAX  4096
#define MON_OUTPUT_MAX (4 * MIB) /* of one command */

#define MON_STATS 7 /* rows of info stats */

/* What info stats -r saw last. */
struct mon_stats {
	u64 when_ns; /* 0: nothing */
	int of;      /* vCPU, or -1: all */
	u64 value[MON_STATS];
};

struct monitor {
	struct machine *m;
	struct chardev *chr;      /* borrowed; NULL once detached */
	struct chardev *fds_from; /* whose peer passes descriptors, or NULL */
	struct list node;
	struct readline rl;
	struct script script;
	struct filters filters;

	/* Bytes taken from the peer but not yet looked at. */
	u8 in[MON_INPUT_MAX];
	size_t in_len;
	bool running; /* within monitor_pump() */

	struct buf out;   /* not yet taken by the chardev; \r\n inside */
	size_t out_start; /* where the output of this command began */
	bool out_cut;     /* it went over MON_OUTPUT_MAX */
	bool open;        /* a peer is there */
	bool focused;     /* false: mux gives the terminal to another */
	bool greeted;     /* the banner was shown since the peer came */
	bool quitting;
	bool busy;    /* a command goes on in the background, no prompt yet */
	bool waiting; /* and may be interrupted */

	/* The command `set` */
	bool set_abbrev, set_status, set_syntax, set_time, set_events;
	bool set_expr_c; /* operators as in C */
	u32 set_pager;   /* rows; 1: ask the terminal; 0: off */
	struct buf held; /* monitor/pager.c: what was not shown yet */
	int history_fd;  /* -1: none */
	int log_fd;      /* monitor/transcript.c; -1: none */
	char *log_path;  /* owned */
	size_t log_from; /* in `out`: what it does not have yet */
	u32 set_width;   /* columns; 0: ask the terminal */
	bool line_begun; /* a stamp stands before it */

	/* Script mode: what a command prints is sent whole, behind a head. */
	bool frames;
	bool framing; /* the head is missing: out_start is where it goes */
	u64 frame;    /* number of the line */

	enum monitor_role role;
	int cpu_index; /* default vCPU */
	/* Sticky formats, separately for print and for x and xp. */
	struct mem_fmt print_fmt, dump_fmt;
	u64 last_value; /* $? */

	/* Detached: no chardev, the output stays in `out`. */
	void (*resumed)(void *opaque, const struct err *err);
	void *opaque;
	json_t *result; /* owned; what QMP answers instead of {} */
	bool json;      /* queries answer as with -j */

	char serial_of[64]; /* monitor/cmd_serial.c: the port it looked at */
	u64 serial_at;      /* and up to where in its output */

	struct mon_stats stats;
	bool symbols; /* somebody asked for the guest's: show them */

	/* State of the default vCPU, fetched once per command. */
	struct cpu_state cpu;
	bool cpu_valid;
};

/* ---- output: into the session, '\n' becomes "\r\n" ---- */

void mon_puts(struct monitor *mon, const char *s);
void mon_printf(struct monitor *mon, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* For a handler whose error texts have no "Error: " in QEMU: shows that of
 * `err` when `r` < 0.  Returns `r`. */
int mon_say_error(struct monitor *mon, struct err *err, int r);

/* For monitor/script.c and the commands on sessions. */
void mon_flush(struct monitor *mon);
void mon_wake(struct monitor *mon); /* input may be looked at again */
const char *mon_label(const struct monitor *mon);
/* The end of a line of `who`: peer and role. */
void mon_list_peer(struct chardev *chr, enum monitor_role role,
		   struct buf *out);
void mon_list_sessions(const struct monitor *self, struct buf *out);
void mon_tell_event(const char *text); /* to those who asked */

u32 mon_columns(struct monitor *mon); /* 0: unknown */
/* Begins to show the output of a command by pages; a key while some waits. */
void pager_begin(struct monitor *mon);
void pager_key(struct monitor *mon, u8 key);
/* The file of `set log`: what is run, and what was said since. */
int transcript_open(struct monitor *mon, const char *path, struct err *err);
void transcript_close(struct monitor *mon);
void transcript_line(struct monitor *mon, const char *line);
void transcript_answer(struct monitor *mon);
/* The history file. */
int history_open(struct monitor *mon, const char *path, struct err *err);
void history_close(struct monitor *mon);
void history_line(struct monitor *mon, const char *line);

const char *mon_eol(const struct monitor *mon);
/* In script mode: `kind` is '=' for the last command of a line, else '+'. */
void mon_frame_begin(struct monitor *mon);
void mon_frame_end(struct monitor *mon, char kind, int code);

/* A handler that goes on after it returns calls mon_suspend(); the session
 * takes no input until mon_resume(), from the main loop.  `err` may be NULL;
 * a message in it is shown. */
void mon_suspend(struct monitor *mon);
void mon_resume(struct monitor *mon, const struct err *err);

/* "10", "0.5": up to 1e6; -EINVAL, with `what` before "takes seconds". */
int mon_parse_seconds(const char *what, const char *text, double *ret,
		      struct err *err);
/* The session goes on when `ready` says 1 (done) or -errno with `err`; it is
 * asked at once and every 20 ms, for so long.  `fini` frees `arg`. */
void wait_poll(struct monitor *mon, double seconds,
	       int (*ready)(struct monitor *mon, void *arg, struct err *err),
	       void (*fini)(void *arg), void *arg, const char *otherwise);
void wait_abandon(struct monitor *mon); /* it waits no longer */
void wait_end_all(void);

/* A session without terminal, for other tongues.  `resumed` is called for
 * mon_resume(). */
struct monitor *mon_detached_create(struct machine *m,
				    void (*resumed)(void *opaque,
						    const struct err *err),
				    void *opaque);
void mon_detached_begin(struct monitor *mon); /* the next command */
void mon_detached_free(struct monitor *mon);
/* The peer on `chr` is gone: a session made for it alone ends. */
void mon_reap_later(struct machine *m, const struct chardev *chr);

/* ---- the default vCPU ---- */

struct vcpu *mon_vcpu(struct monitor *mon); /* NULL: no CPU */
/* Its registers, without stopping any other; the same copy until the command
 * ends.  NULL: no CPU. */
const struct cpu_state *mon_cpu(struct monitor *mon);
void mon_cpu_copy(struct vcpu *v, struct cpu_state *ret);
/* Names of expressions ($eip); for struct expr_env. */
int mon_register(void *opaque, const char *name, u64 *ret);

/* Name of a function of the guest's kernel once somebody asked for symbols;
 * else NULL. */
const char *mon_symbol(struct monitor *mon, u64 addr, u64 *ret_offset);
/* The other way round, for struct expr_env. */
int mon_find_symbol(void *opaque, const char *name, u64 *ret);
void guest_forget(void); /* at the end */

/* What the log of a Linux guest says of its first process; false: nothing.
 * `ns` counts from when the kernel began to keep time. */
struct guest_init {
	u64 ns;
	char program[64];
};

bool guest_find_init(struct monitor *mon, struct guest_init *ret);

/* ---- tables ---- */

/* 0, or -errno: then `err`, unless empty, is shown after "Error: ". */
typedef int command_fn(struct monitor *mon, const struct args *a,
		       struct err *err);
/* A new reference, or NULL with `err` as above. */
typedef json_t *query_fn(struct monitor *mon, const struct args *a,
			 struct err *err);
typedef void print_fn(const json_t *v, struct buf *out);

struct command {
	const char *names; /* "stop|s" */
	const char *types; /* monitor/args.h */
	const char *params;
	const char *help;
	command_fn *run; /* commands.def */
	query_fn *query; /* info.def */
	print_fn *print;
	const char *absent; /* absent.def: the line that says why */
};

extern const struct command command_table[], info_table[]; /* NULL-ended */

#define COMMAND(names, types, params, fn, help) command_fn cmd_##fn;
#include "monitor/commands.def"
#undef COMMAND
#define INFO(name, types, params, query, print, help) \
	query_fn query_##query;                       \
	print_fn print_##print;
#include "monitor/info.def"
#undef INFO

bool command_has_name(const struct command *c, const char *name, size_t len);
const struct command *command_find(const struct command *table,
				   const char *name, size_t len);

/* Runs one line and shows what it says.  0 or -errno of its outcome. */
int command_run(struct monitor *mon, const char *line);
/* Candidates for Tab; readline_ops.complete. */
void command_complete(void *opaque, struct readline *rl, const char *text);

const char *session_setting(int n); /* names for `set`; NULL: no more */

/* ---- value trees ---- */

/* 64-bit values travel as "0x%016x" strings: JSON numbers cannot hold them.
 */
json_t *val_hex(u64 v);
json_t *val_string(const char *s); /* what is not UTF-8 is replaced */
u64 val_u64(const json_t *obj, const char *key); /* hex string or integer */
const char *val_str(const json_t *obj, const char *key); /* "" if absent */
bool val_true(const json_t *obj, const char *key);
json_t *device_property(const struct device *dev, const struct option_row *row);
/* A tree that is one piece of text, from a provider in a lower layer. */
json_t *val_text(struct buf *text); /* empties `text` */

/* ---- memory, monitor/memory.c ---- */

/* Where a dump reads from. */
struct mon_space {
	struct monitor *mon;
	const struct cpu_state *cpu; /* NULL: physical addresses */
};

/* Copies RAM and ROM; with `unit` (1, 2, 4, 8) reads device registers in
 * units of that size, with 0 refuses them.  Returns the number of bytes that
 * could be read before the first that could not. */
size_t mon_read(const struct mon_space *s, u64 addr, void *dst, size_t len,
		u32 unit);

#endif
