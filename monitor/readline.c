/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Line editing: keys to edits, edits to the shortest echo.
 *
 * Escape sequences are read to their end (ECMA-48 5.4: parameters, then
 * intermediates, then one final byte), so that an unknown key inserts
 * nothing.  A UTF-8 character is one unit; it is echoed when complete.
 *
 * Deviation: the line must fit the terminal's width for cursor keys to look
 * right, as the width is not known.
 */
#include "monitor/readline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"

#define CTRL(c) ((c)&0x1f)

#define RL_SCREEN_WIDTH 80
#define RL_COLUMN_MIN   10

/* ---- characters ---- */

static bool rl_is_tail(char c)
{
	return ((u8)c & 0xc0) == 0x80;
}

/* Bytes of the sequence that `lead` starts; 1 for what cannot start one. */
static int rl_utf8_length(u8 lead)
{
	if (lead >= 0xc2 && lead <= 0xdf)
		return 2;
	if ((lead & 0xf0) == 0xe0)
		return 3;
	if (lead >= 0xf0 && lead <= 0xf4)
		return 4;
	return 1;
}

static size_t rl_before(const struct readline *rl, size_t pos)
{
	size_t p = pos;

	while (p > 0 && rl_is_tail(rl->line[--p]) && pos - p < 4)
		;
	return p;
}

static size_t rl_after(const struct readline *rl, size_t pos)
{
	size_t p = pos + (pos < rl->len);

	while (p < rl->len && rl_is_tail(rl->line[p]) && p - pos < 4)
		p++;
	return p;
}

static int rl_width(u32 c)
{
	/* clang-format off */
	static const struct {
		u32 first, last;
		int width;
	} ranges[] = {
		{ 0x0300, 0x036f, 0 },	 /* combining marks */
		{ 0x1100, 0x115f, 2 },	 /* Hangul Jamo */
		{ 0x200b, 0x200f, 0 },	 /* zero-width space, marks */
		{ 0x2e80, 0x303e, 2 },	 /* CJK radicals, punctuation */
		{ 0x3041, 0xa4cf, 2 },	 /* kana to Yi */
		{ 0xac00, 0xd7a3, 2 },	 /* Hangul syllables */
		{ 0xf900, 0xfaff, 2 },	 /* CJK compatibility */
		{ 0xfe00, 0xfe0f, 0 },	 /* variation selectors */
		{ 0xfe30, 0xfe6f, 2 },
		{ 0xff00, 0xff60, 2 },	 /* full-width forms */
		{ 0xffe0, 0xffe6, 2 },
		{ 0x1f300, 0x1f64f, 2 }, /* pictographs */
		{ 0x1f900, 0x1f9ff, 2 },
		{ 0x20000, 0x3fffd, 2 },
	};

	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return ranges[i].width;
	return 1;
}

/* Columns that bytes [from, to) of the line take. */
static int rl_columns(const struct readline *rl, size_t from, size_t to)
{
	int columns = 0;

	while (from < to) {
		u8 lead = rl->line[from];
		int n = rl_utf8_length(lead);
		u32 c = n == 1 ? lead : lead & (0x7f >> n);

		from++;
		while (--n > 0 && from < to && rl_is_tail(rl->line[from]))
			c = c << 6 | ((u8)rl->line[from++] & 0x3f);
		columns += rl_width(c);
	}
	return columns;
}

/* ---- echo ---- */

static void rl_write(struct readline *rl, const char *data, size_t len)
{
	if (len)
		rl->ops->write(rl->opaque, data, len);
}

static void rl_puts(struct readline *rl, const char *s)
{
	rl_write(rl, s, strlen(s));
}

static void rl_move(struct readline *rl, int columns, char direction)
{
	char seq[16];

	if (columns <= 0)
		return;
	if (columns == 1)
		snprintf(seq, sizeof seq, "\033[%c", direction);
	else
		snprintf(seq, sizeof seq, "\033[%d%c", columns, direction);
	rl_puts(rl, seq);
}

static void rl_left(struct readline *rl, int columns)
{
	rl_move(rl, columns, 'D');
}

/* The cursor stands at pos: shows what is to the right of it again. */
static void rl_show_tail(struct readline *rl, bool shorter)
{
	rl_write(rl, rl->line + rl->pos, rl->len - rl->pos);
	if (shorter)
		rl_puts(rl, "\033[K");
	rl_left(rl, rl_columns(rl, rl->pos, rl->len));
}

/* ---- edits ---- */

static void rl_goto(struct readline *rl, size_t pos)
{
	if (pos < rl->pos)
		rl_left(rl, rl_columns(rl, pos, rl->pos));
	else
		rl_move(rl, rl_columns(rl, rl->pos, pos), 'C');
	rl->pos = pos;
}

static void rl_insert(struct readline *rl, const char *s, size_t n)
{
	if (n > RL_LINE_MAX - rl->len)
		return;
	memmove(rl->line + rl->pos + n, rl->line + rl->pos, rl->len - rl->pos);
	memcpy(rl->line + rl->pos, s, n);
	rl->len += n;
	rl->pos += n;
	rl_write(rl, s, n);
	if (rl->pos < rl->len)
		rl_show_tail(rl, false);
}

static void rl_delete(struct readline *rl, size_t from, size_t to)
{
	if (from == to)
		return;
	rl_goto(rl, from);
	memmove(rl->line + from, rl->line + to, rl->len - to);
	rl->len -= to - from;
	rl_show_tail(rl, true);
}

static void rl_replace(struct readline *rl, const char *s)
{
	size_t n = MIN(strlen(s), (size_t)RL_LINE_MAX);
	bool shorter;

	rl_goto(rl, 0);
	shorter = rl_columns(rl, 0, rl->len) > 0;
	memcpy(rl->line, s, n);
	rl->len = rl->pos = n;
	rl_write(rl, s, n);
	if (shorter)
		rl_puts(rl, "\033[K");
}

static size_t rl_word_left(const struct readline *rl)
{
	size_t p = rl->pos;

	while (p > 0 && rl->line[p - 1] == ' ')
		p--;
	while (p > 0 && rl->line[p - 1] != ' ')
		p--;
	return p;
}

static size_t rl_word_right(const struct readline *rl)
{
	size_t p = rl->pos;

	while (p < rl->len && rl->line[p] == ' ')
		p++;
	while (p < rl->len && rl->line[p] != ' ')
		p++;
	return p;
}

/* ---- history ---- */

static void rl_remember(struct readline *rl)
{
	char *entry = NULL;
	int i;

	if (!rl->len)
		return;
	for (i = 0; i < rl->history_len; i++)
		if (!strcmp(rl->history[i], rl->line))
			break;
	if (i < rl->history_len) {
		entry = rl->history[i];
	} else {
		entry = xstrdup(rl->line);
		if (rl->history_len < RL_HISTORY_MAX) {
			rl->history[rl->history_len++] = entry;
			return;
		}
		i = 0;
		free(rl->history[0]);
	}
	memmove(&rl->history[i], &rl->history[i + 1],
		(rl->history_len - 1 - i) * sizeof rl->history[0]);
	rl->history[rl->history_len - 1] = entry;
}

static void rl_history_step(struct readline *rl, int step)
{
	int at = rl->history_at + step;

	if (at < 0 || at > rl->history_len)
		return;
	rl->history_at = at;
	rl_replace(rl, at == rl->history_len ? "" : rl->history[at]);
}

/* ---- completion ---- */

void rl_candidate(struct readline *rl, size_t word_len, const char *text)
{
	if (rl->ncandidates == RL_CANDIDATES_MAX || word_len > rl->pos)
		return;
	rl->complete_at = rl->pos - word_len;
	rl->candidates[rl->ncandidates++] = xstrdup(text);
}

static int rl_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t rl_common_prefix(const struct readline *rl)
{
	const char *first = rl->candidates[0];
	size_t n = strlen(first);

	for (int i = 1; i < rl->ncandidates; i++) {
		size_t k = 0;

		while (k < n && rl->candidates[i][k] == first[k])
			k++;
		n = k;
	}
	while (n > 0 && rl_is_tail(first[n]))
		n--;
	return n;
}

static void rl_list_candidates(struct readline *rl)
{
	int width = RL_COLUMN_MIN, columns;
	char cell[RL_SCREEN_WIDTH + 1];

	for (int i = 0; i < rl->ncandidates; i++)
		width = MAX(width, (int)strlen(rl->candidates[i]) + 2);
	width = MIN(width, RL_SCREEN_WIDTH);
	columns = RL_SCREEN_WIDTH / width;
	rl_puts(rl, "\r\n");
	for (int i = 0; i < rl->ncandidates; i++) {
		if (strlen(rl->candidates[i]) < sizeof cell) {
			snprintf(cell, sizeof cell, "%-*s", width,
				 rl->candidates[i]);
			rl_puts(rl, cell);
		} else {
			rl_puts(rl, rl->candidates[i]);
		}
		if (i % columns == columns - 1 || i == rl->ncandidates - 1)
			rl_puts(rl, "\r\n");
	}
}

static void rl_complete(struct readline *rl)
{
	char text[RL_LINE_MAX + 1];
	size_t typed, n;

	if (!rl->ops->complete)
		return;
	memcpy(text, rl->line, rl->pos);
	text[rl->pos] = '\0';
	rl->ops->complete(rl->opaque, rl, text);
	if (!rl->ncandidates)
		return;
	qsort(rl->candidates, rl->ncandidates, sizeof rl->candidates[0],
	      rl_compare);
	typed = rl->pos - rl->complete_at;
	n = rl_common_prefix(rl);
	if (rl->ncandidates > 1) {
		/* The listing moves the cursor: begin a line of our own. */
		rl_list_candidates(rl);
		rl_prompt(rl);
	}
	if (n > typed)
		rl_insert(rl, rl->candidates[0] + typed, n - typed);
	if (rl->ncandidates == 1 && n &&
	    !strchr("/=,", rl->candidates[0][n - 1]))
		rl_insert(rl, " ", 1);
	while (rl->ncandidates)
		free(rl->candidates[--rl->ncandidates]);
}

/* ---- keys ---- */

static void rl_enter(struct readline *rl)
{
	char line[RL_LINE_MAX + 1];

	rl->line[rl->len] = '\0';
	rl_remember(rl);
	rl_puts(rl, "\r\n");
	memcpy(line, rl->line, rl->len + 1);
	rl_reset(rl);
	rl->ops->line(rl->opaque, line);
}

static void rl_control(struct readline *rl, u8 c)
{
	switch (c) {
	case CTRL('A'): rl_goto(rl, 0); break;
	case CTRL('B'): rl_goto(rl, rl_before(rl, rl->pos)); break;
	case CTRL('C'):
		rl_puts(rl, "^C\r\n");
		rl_reset(rl);
		rl_prompt(rl);
		break;
	case CTRL('D'): rl_delete(rl, rl->pos, rl_after(rl, rl->pos)); break;
	case CTRL('E'): rl_goto(rl, rl->len); break;
	case CTRL('F'): rl_goto(rl, rl_after(rl, rl->pos)); break;
	case CTRL('H'):
	case 0x7f: rl_delete(rl, rl_before(rl, rl->pos), rl->pos); break;
	case '\t': rl_complete(rl); break;
	case '\r':
	case '\n': rl_enter(rl); break;
	case CTRL('K'): rl_delete(rl, rl->pos, rl->len); break;
	case CTRL('L'):
		rl_puts(rl, "\033[2J\033[1;1H");
		rl_prompt(rl);
		break;
	case CTRL('N'): rl_history_step(rl, 1); break;
	case CTRL('P'): rl_history_step(rl, -1); break;
	case CTRL('U'): rl_delete(rl, 0, rl->pos); break;
	case CTRL('W'): rl_delete(rl, rl_word_left(rl), rl->pos); break;
	case 0x1b: rl->state = RL_ESC; break;
	}
}

/* Keys of the form ESC [ ... LETTER and ESC O LETTER. */
static void rl_letter_key(struct readline *rl, u8 c, bool word)
{
	switch (c) {
	case 'A': rl_history_step(rl, -1); break;
	case 'B':
	case 'E': rl_history_step(rl, 1); break;
	case 'C':
		rl_goto(rl, word ? rl_word_right(rl) : rl_after(rl, rl->pos));
		break;
	case 'D':
		rl_goto(rl, word ? rl_word_left(rl) : rl_before(rl, rl->pos));
		break;
	case 'F': rl_goto(rl, rl->len); break;
	case 'H': rl_goto(rl, 0); break;
	}
}

/* Keys of the form ESC [ NUMBER ~. */
static void rl_number_key(struct readline *rl, u32 n)
{
	switch (n) {
	case 1:
	case 7: rl_goto(rl, 0); break;
	case 3: rl_delete(rl, rl->pos, rl_after(rl, rl->pos)); break;
	case 4:
	case 8: rl_goto(rl, rl->len); break;
	}
}

static void rl_csi_end(struct readline *rl, u8 c)
{
	/* "1;5C" is Ctrl-Right, "1;3C" Alt-Right; some send "5C". */
	u32 mod = rl->nparam > 1 ? rl->param[1] : rl->param[0];

	rl->state = RL_PLAIN;
	if (rl->private)
		return;
	if (c == '[')
		rl->state = RL_CSI_CONSOLE; /* Linux console's F1-F5 */
	else if (c == '~')
		rl_number_key(rl, rl->param[0]);
	else
		rl_letter_key(rl, c, mod == 3 || mod == 5);
}

static void rl_csi_begin(struct readline *rl)
{
	rl->state = RL_CSI;
	memset(rl->param, 0, sizeof rl->param);
	rl->nparam = 1;
	rl->private = false;
}

static void rl_csi(struct readline *rl, u8 c)
{
	u32 *param = &rl->param[rl->nparam - 1];

	if (c >= '0' && c <= '9') {
		if (*param < 1000)
			*param = *param * 10 + (c - '0');
	} else if (c == ';' && rl->nparam < RL_CSI_PARAMS) {
		rl->nparam++;
	} else if (c >= 0x20 && c <= 0x3f) {
		rl->private = true;
	} else if (c >= 0x40 && c <= 0x7e) {
		rl_csi_end(rl, c);
	} else {
		rl->state = RL_PLAIN;
		if (c < 0x20)
			rl_control(rl, c);
	}
}

static void rl_escape(struct readline *rl, u8 c)
{
	rl->state = RL_PLAIN;
	switch (c) {
	case '[': rl_csi_begin(rl); break;
	case 'O': rl->state = RL_SS3; break;
	case 0x1b: rl->state = RL_ESC; break;
	case 'b': rl_goto(rl, rl_word_left(rl)); break;
	case 'f': rl_goto(rl, rl_word_right(rl)); break;
	case 'd': rl_delete(rl, rl->pos, rl_word_right(rl)); break;
	case 0x08:
	case 0x7f: rl_delete(rl, rl_word_left(rl), rl->pos); break;
	case '\r':
	case '\n': rl_enter(rl); break;
	}
}

static void rl_text(struct readline *rl, u8 c)
{
	if (rl->utf8_len) {
		if (rl_is_tail(c)) {
			rl->utf8[rl->utf8_len++] = c;
			if (rl->utf8_len == rl->utf8_need) {
				rl->utf8_len = 0;
				rl_insert(rl, (char *)rl->utf8, rl->utf8_need);
			}
			return;
		}
		rl->utf8_len = 0; /* cut short: dropped */
	}
	if (c == 0x9b) {
		rl_csi_begin(rl); /* 8-bit CSI */
	} else if (c < 0x20 || c == 0x7f) {
		rl_control(rl, c);
	} else if (rl_utf8_length(c) > 1) {
		rl->utf8[0] = c;
		rl->utf8_len = 1;
		rl->utf8_need = rl_utf8_length(c);
	} else if (c < 0x80) {
		rl_insert(rl, (char *)&c, 1);
	}
}

void rl_byte(struct readline *rl, u8 byte)
{
	switch (rl->state) {
	case RL_PLAIN: rl_text(rl, byte); break;
	case RL_ESC: rl_escape(rl, byte); break;
	case RL_SS3:
		rl->state = RL_PLAIN;
		/* rxvt sends Ctrl-Left and -Right as ESC O d and ESC O c. */
		if (byte == 'c' || byte == 'd')
			rl_letter_key(rl, byte - 0x20, true);
		else
			rl_letter_key(rl, byte, false);
		break;
	case RL_CSI: rl_csi(rl, byte); break;
	case RL_CSI_CONSOLE: rl->state = RL_PLAIN; break;
	}
}

/* ---- life ---- */

void rl_init(struct readline *rl, const struct readline_ops *ops, void *opaque,
	     const char *prompt)
{
	memset(rl, 0, sizeof *rl);
	rl->ops = ops;
	rl->opaque = opaque;
	rl->prompt = prompt;
}

void rl_fini(struct readline *rl)
{
	while (rl->history_len)
		free(rl->history[--rl->history_len]);
}

void rl_prompt(struct readline *rl)
{
	rl_puts(rl, rl->prompt);
	rl_write(rl, rl->line, rl->len);
	rl_left(rl, rl_columns(rl, rl->pos, rl->len));
}

void rl_reset(struct readline *rl)
{
	rl->len = rl->pos = 0;
	rl->line[0] = '\0';
	rl->state = RL_PLAIN;
	rl->utf8_len = 0;
	rl->history_at = rl->history_len;
}
