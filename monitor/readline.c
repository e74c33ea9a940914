/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Line editing: keys to edits, edits to the shortest echo.
 *
 * Escape sequences are read to their end (ECMA-48 5.4: parameters, then
 * intermediates, then one final byte), so that an unknown key inserts
 * nothing.  A UTF-8 character is one unit; it is echoed when complete.
 *
 * Positions on the screen are columns counted from the begin of the prompt,
 * as if the terminal were endless; with its width they become rows.  Without
 * it the line must fit into one for cursor keys to look right.
 */
#include "monitor/readline.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"

#define CTRL(c) ((c)&0x1f)

#define RL_SCREEN_WIDTH 80 /* of lists, when it is unknown */
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

/* The column behind `text`, which begins in column `at`. */
static int rl_advance(const struct readline *rl, const char *text, size_t len,
		      int at)
{
	int screen = (int)rl->columns;
	size_t i = 0;

	while (i < len) {
		u8 lead = text[i];
		int n = rl_utf8_length(lead), width;
		u32 c = n == 1 ? lead : lead & (0x7f >> n);

		i++;
		while (--n > 0 && i < len && rl_is_tail(text[i]))
			c = c << 6 | ((u8)text[i++] & 0x3f);
		width = rl_width(c);
		/* A wide one does not stand on two rows. */
		if (screen > 1 && width == 2 && at % screen == screen - 1)
			at++;
		at += width;
	}
	return at;
}

static int rl_column(const struct readline *rl, size_t pos)
{
	int at = rl_advance(rl, rl->prompt, strlen(rl->prompt), 0);

	return rl_advance(rl, rl->line, pos, at);
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

static int rl_row(const struct readline *rl, int column)
{
	return rl->columns ? column / (int)rl->columns : 0;
}

/* The cursor stands in column `from` and shall stand in column `to`. */
static void rl_travel(struct readline *rl, int from, int to)
{
	int rows = rl_row(rl, to) - rl_row(rl, from);

	if (!rows) {
		rl_move(rl, from - to, 'D');
		rl_move(rl, to - from, 'C');
		return;
	}
	rl_move(rl, -rows, 'A');
	rl_move(rl, rows, 'B');
	rl_puts(rl, "\r");
	rl_move(rl, to % (int)rl->columns, 'C');
}

/* Text was written up to the end of the line.  When that is the right edge,
 * terminals go to the next row only with the next character. */
static void rl_leave_edge(struct readline *rl)
{
	int at = rl->columns ? rl_column(rl, rl->len) : 1;

	if (at && rl->columns && at % (int)rl->columns == 0)
		rl_puts(rl, " \r");
}

/* Erases what is behind the cursor, which stands at the end of the line. */
static void rl_erase(struct readline *rl)
{
	rl_puts(rl, rl->columns ? "\033[J" : "\033[K");
}

/* The cursor stands at pos: shows what is to the right of it again. */
static void rl_show_tail(struct readline *rl, bool shorter)
{
	rl_write(rl, rl->line + rl->pos, rl->len - rl->pos);
	if (rl->pos < rl->len)
		rl_leave_edge(rl);
	if (shorter)
		rl_erase(rl);
	rl_travel(rl, rl_column(rl, rl->len), rl_column(rl, rl->pos));
}

/* ---- edits ---- */

static void rl_goto(struct readline *rl, size_t pos)
{
	rl_travel(rl, rl_column(rl, rl->pos), rl_column(rl, pos));
	rl->pos = pos;
}

/* Output follows: it belongs below the last row. */
static void rl_leave(struct readline *rl)
{
	if (rl_row(rl, rl_column(rl, rl->pos)) !=
	    rl_row(rl, rl_column(rl, rl->len)))
		rl_goto(rl, rl->len);
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
	else
		rl_leave_edge(rl);
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

static void rl_kill(struct readline *rl, size_t from, size_t to)
{
	if (from == to)
		return;
	free(rl->killed);
	rl->killed = xprintf("%.*s", (int)(to - from), rl->line + from);
	rl_delete(rl, from, to);
}

static void rl_replace(struct readline *rl, const char *s)
{
	size_t n = MIN(strlen(s), (size_t)RL_LINE_MAX);
	bool shorter;

	rl_goto(rl, 0);
	shorter = rl->len > 0;
	memcpy(rl->line, s, n);
	rl->len = rl->pos = n;
	rl_write(rl, s, n);
	if (n)
		rl_leave_edge(rl);
	if (shorter)
		rl_erase(rl);
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

void rl_history_add(struct readline *rl, const char *line)
{
	char *entry = NULL;
	int i;

	for (i = 0; i < rl->history_len; i++)
		if (!strcmp(rl->history[i], line))
			break;
	if (i < rl->history_len) {
		entry = rl->history[i];
	} else {
		entry = xstrdup(line);
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

static void rl_remember(struct readline *rl)
{
	if (!rl->len)
		return;
	rl_history_add(rl, rl->line);
	if (rl->ops->remember)
		rl->ops->remember(rl->opaque, rl->line);
}

static void rl_history_step(struct readline *rl, int step)
{
	int at = rl->history_at + step;

	if (at < 0 || at > rl->history_len)
		return;
	rl->history_at = at;
	rl_replace(rl, at == rl->history_len ? "" : rl->history[at]);
}

/* ---- searching the history ---- */

static void rl_set_line(struct readline *rl, const char *s, size_t pos)
{
	rl->len = MIN(strlen(s), (size_t)RL_LINE_MAX);
	memcpy(rl->line, s, rl->len);
	rl->pos = MIN(pos, rl->len);
}

/* Takes prompt and line off the screen; rl_prompt() shows them anew. */
static void rl_wipe(struct readline *rl)
{
	rl_travel(rl, rl_column(rl, rl->pos), 0);
	rl_puts(rl, "\r");
	rl_erase(rl);
}

static void rl_search_show(struct readline *rl, bool failed)
{
	snprintf(rl->search_prompt, sizeof rl->search_prompt,
		 "(%sreverse-i-search)`%s': ", failed ? "failed " : "",
		 rl->search);
	rl->prompt = rl->search_prompt;
	rl_prompt(rl);
}

/* Shows the newest entry, from `at` down, that has the text. */
static void rl_search_from(struct readline *rl, int at)
{
	for (; at >= 0 && rl->search_len; at--) {
		const char *hit = strstr(rl->history[at], rl->search);

		if (!hit)
			continue;
		rl->found = at;
		rl_set_line(rl, rl->history[at], hit - rl->history[at]);
		break;
	}
	rl_search_show(rl, at < 0 && rl->search_len);
}

static void rl_search_begin(struct readline *rl)
{
	rl->line[rl->len] = '\0';
	rl->unsearched = xstrdup(rl->line);
	rl->searching = true;
	rl->search_len = 0;
	rl->search[0] = '\0';
	rl->found = rl->history_len;
	rl_wipe(rl);
	rl_search_show(rl, false);
}

static void rl_search_end(struct readline *rl)
{
	free(rl->unsearched);
	rl->unsearched = NULL;
	rl->searching = false;
	rl->prompt = rl->plain_prompt;
}

/* False: the search is over, and `c` means what it always does. */
static bool rl_search_byte(struct readline *rl, u8 c)
{
	rl_wipe(rl);
	if (c == CTRL('R')) {
		rl_search_from(rl, rl->found - 1);
	} else if (c == CTRL('H') || c == 0x7f) {
		while (rl->search_len &&
		       rl_is_tail(rl->search[--rl->search_len]))
			;
		rl->search[rl->search_len] = '\0';
		rl_search_from(rl, rl->history_len - 1);
	} else if (c == CTRL('C') || c == CTRL('G')) {
		rl_set_line(rl, rl->unsearched, RL_LINE_MAX);
		rl_search_end(rl);
		rl_prompt(rl);
	} else if (c >= 0x20 && c != 0x9b) {
		if (rl->search_len < RL_SEARCH_MAX)
			rl->search[rl->search_len++] = (char)c;
		rl->search[rl->search_len] = '\0';
		rl_search_from(rl, MIN(rl->found, rl->history_len - 1));
	} else {
		rl_search_end(rl);
		rl_prompt(rl);
		return false;
	}
	return true;
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
	int screen = rl->columns ? (int)rl->columns : RL_SCREEN_WIDTH;
	int width = RL_COLUMN_MIN, columns;
	char cell[RL_SCREEN_MAX + 1];

	for (int i = 0; i < rl->ncandidates; i++)
		width = MAX(width, (int)strlen(rl->candidates[i]) + 2);
	width = MIN(width, screen);
	columns = screen / width;
	rl_leave(rl);
	rl_puts(rl, "\r\n");
	for (int i = 0; i < rl->ncandidates; i++) {
		if ((int)strlen(rl->candidates[i]) <= screen) {
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

/* The terminal may have become another or larger. */
static void rl_ask_columns(struct readline *rl)
{
	u32 columns = rl->ops->columns ? rl->ops->columns(rl->opaque) : 0;

	rl->columns = MIN(columns, (u32)RL_SCREEN_MAX);
}

/* What "!!", "!3", "!-2" and "!text" stand for: the last line, that of this
 * number in `info history`, the last but one, the last that begins so. */
static const char *rl_recall(const struct readline *rl)
{
	const char *what = rl->line + 1;
	bool back = *what == '-';
	char *end;
	long n = strtol(what + back, &end, 10);

	if (!strcmp(what, "!"))
		n = rl->history_len - 1;
	else if (isdigit((unsigned char)what[back]) && !*end)
		n = back ? rl->history_len - n : n;
	else
		for (n = rl->history_len - 1; n >= 0; n--)
			if (!strncmp(rl->history[n], what, strlen(what)))
				break;
	return n >= 0 && n < rl->history_len ? rl->history[n] : NULL;
}

/* A line that begins with '!' becomes the one that it stands for, which is
 * shown. */
static void rl_expand(struct readline *rl)
{
	const char *found = rl_recall(rl);

	if (!found)
		return; /* nobody knows a command of that name */
	rl_leave(rl);
	rl_puts(rl, "\r\n");
	rl_set_line(rl, found, RL_LINE_MAX);
	rl->line[rl->len] = '\0';
	rl_puts(rl, rl->line);
}

static void rl_enter(struct readline *rl)
{
	char line[RL_LINE_MAX + 1];

	rl->line[rl->len] = '\0';
	if (rl->line[0] == '!' && rl->len > 1)
		rl_expand(rl);
	rl_remember(rl);
	rl_leave(rl);
	rl_puts(rl, "\r\n");
	memcpy(line, rl->line, rl->len + 1);
	rl_reset(rl);
	rl->ops->line(rl->opaque, line);
}

static void rl_control(struct readline *rl, u8 c)
{
	rl_ask_columns(rl);
	switch (c) {
	case CTRL('A'): rl_goto(rl, 0); break;
	case CTRL('B'): rl_goto(rl, rl_before(rl, rl->pos)); break;
	case CTRL('C'):
		rl_leave(rl);
		rl_puts(rl, "^C\r\n");
		rl_reset(rl);
		rl_prompt(rl);
		break;
	case CTRL('D'):
		if (!rl->len && rl->ops->leave)
			rl->ops->leave(rl->opaque);
		else
			rl_delete(rl, rl->pos, rl_after(rl, rl->pos));
		break;
	case CTRL('E'): rl_goto(rl, rl->len); break;
	case CTRL('F'): rl_goto(rl, rl_after(rl, rl->pos)); break;
	case CTRL('H'):
	case 0x7f: rl_delete(rl, rl_before(rl, rl->pos), rl->pos); break;
	case '\t': rl_complete(rl); break;
	case '\r':
	case '\n': rl_enter(rl); break;
	case CTRL('K'): rl_kill(rl, rl->pos, rl->len); break;
	case CTRL('L'):
		rl_puts(rl, "\033[2J\033[1;1H");
		rl_prompt(rl);
		break;
	case CTRL('N'): rl_history_step(rl, 1); break;
	case CTRL('P'): rl_history_step(rl, -1); break;
	case CTRL('R'): rl_search_begin(rl); break;
	case CTRL('U'): rl_kill(rl, 0, rl->pos); break;
	case CTRL('W'): rl_kill(rl, rl_word_left(rl), rl->pos); break;
	case CTRL('Y'):
		if (rl->killed)
			rl_insert(rl, rl->killed, strlen(rl->killed));
		break;
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
	case 'd': rl_kill(rl, rl->pos, rl_word_right(rl)); break;
	case 0x08:
	case 0x7f: rl_kill(rl, rl_word_left(rl), rl->pos); break;
	case '\r':
	case '\n': rl_enter(rl); break;
	}
}

static void rl_text(struct readline *rl, u8 c)
{
	if (rl->searching && rl_search_byte(rl, c))
		return;
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
	rl->prompt = rl->plain_prompt = prompt;
}

void rl_fini(struct readline *rl)
{
	while (rl->history_len)
		free(rl->history[--rl->history_len]);
	free(rl->unsearched);
	free(rl->killed);
}

void rl_prompt(struct readline *rl)
{
	rl_ask_columns(rl);
	rl_puts(rl, rl->prompt);
	rl_write(rl, rl->line, rl->len);
	if (rl->len)
		rl_leave_edge(rl);
	rl_travel(rl, rl_column(rl, rl->len), rl_column(rl, rl->pos));
}

void rl_reset(struct readline *rl)
{
	if (rl->searching)
		rl_search_end(rl);
	rl->len = rl->pos = 0;
	rl->line[0] = '\0';
	rl->state = RL_PLAIN;
	rl->utf8_len = 0;
	rl->history_at = rl->history_len;
}
