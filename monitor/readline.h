/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Line editing on a byte stream to some ANSI terminal.
 *
 * Knows nothing of monitors: bytes go in, echo and finished lines come out
 * through the ops.  Sends what changed and no more; a byte typed at the end
 * of the line is echoed as it is.  Where the width of the terminal is known,
 * a line may take several rows.
 */
#ifndef MONITOR_READLINE_H
#define MONITOR_READLINE_H

#include "lib/types.h"

#define RL_LINE_MAX       4095 /* further bytes are ignored until Enter */
#define RL_HISTORY_MAX    64
#define RL_CANDIDATES_MAX 256
#define RL_CSI_PARAMS     4
#define RL_SEARCH_MAX     63
#define RL_SCREEN_MAX     1000 /* columns */

struct readline;

struct readline_ops {
	void (*write)(void *opaque, const char *data, size_t len);
	/* Enter was pressed; the new line was begun on the terminal. */
	void (*line)(void *opaque, const char *line);
	/* Calls rl_candidate() for each way to go on after `text`, which is
	 * what stands left of the cursor.  May be NULL. */
	void (*complete)(void *opaque, struct readline *rl, const char *text);
	/* Columns of the terminal, 0 if unknown.  May be NULL. */
	u32 (*columns)(void *opaque);
	/* A line went into the history.  May be NULL. */
	void (*remember)(void *opaque, const char *line);
	/* Ctrl-D on an empty line.  May be NULL. */
	void (*leave)(void *opaque);
};

enum rl_state { RL_PLAIN, RL_ESC, RL_SS3, RL_CSI, RL_CSI_CONSOLE };

struct readline {
	const struct readline_ops *ops;
	void *opaque;
	const char *prompt;       /* what is shown */
	const char *plain_prompt; /* while nothing is searched */
	u32 columns;              /* 0: unknown */

	char line[RL_LINE_MAX + 1];
	size_t len, pos; /* bytes; pos is on a character boundary */

	enum rl_state state;
	u32 param[RL_CSI_PARAMS];
	int nparam;
	bool private; /* the CSI sequence is not one of ours */
	u8 utf8[4];   /* character under construction */
	int utf8_len, utf8_need;

	char *history[RL_HISTORY_MAX]; /* owned, oldest first */
	int history_len;
	int history_at; /* == history_len: not browsing */

	bool searching; /* Ctrl-R */
	char search[RL_SEARCH_MAX + 1];
	size_t search_len;
	int found;        /* the entry that is shown, or history_len */
	char *unsearched; /* owned; the line as it was */
	char search_prompt[RL_SEARCH_MAX + 40];
	char *killed; /* owned; for Ctrl-Y */

	char *candidates[RL_CANDIDATES_MAX]; /* owned */
	int ncandidates;
	size_t complete_at; /* where in the line the candidates begin */
};

void rl_init(struct readline *rl, const struct readline_ops *ops, void *opaque,
	     const char *prompt);
void rl_fini(struct readline *rl);
void rl_byte(struct readline *rl, u8 byte);
void rl_prompt(struct readline *rl); /* shows prompt and line */
void rl_reset(struct readline *rl);  /* drops line and half sequences */
/* Makes `line` the newest entry of the history. */
void rl_history_add(struct readline *rl, const char *line);
/* Within ops->complete: one way to replace the text that begins `word_len`
 * bytes left of the cursor.  A blank follows a single one unless it ends in
 * '/', '=' or ','. */
void rl_candidate(struct readline *rl, size_t word_len, const char *text);

#endif
