/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `set pager`: a long answer, a screen at a time.
 *
 * What does not fit waits in `held`, which is no longer than the output of
 * one command may be; the next command waits for it.
 */
#include <stdlib.h>

#include "chardev/chardev.h"
#include "monitor/internal.h"

#define PAGER_PROMPT "--More--"

static u32 pager_rows(struct monitor *mon)
{
	u32 columns, rows;

	if (!mon->set_pager || mon->frames || !mon->chr)
		return 0;
	if (mon->set_pager > 1)
		return mon->set_pager;
	return chr_window(mon->chr, &columns, &rows) ? rows : 0;
}

/* How much of the text fills that many rows, to the end of a line. */
static size_t pager_fill(struct monitor *mon, const char *text, size_t len,
			 u32 rows)
{
	u32 columns = mon_columns(mon), used = 0;
	size_t at = 0;

	while (at < len && used < rows) {
		size_t n = 0;

		while (at + n < len && text[at + n] != '\n')
			n++;
		used += 1 + (columns && n ? (u32)((n - 1) / columns) : 0);
		if (used > rows && at)
			break;
		at += MIN(n + 1, len - at);
	}
	return at;
}

static void pager_show(struct monitor *mon, u32 rows)
{
	size_t n = pager_fill(mon, mon->held.data, mon->held.len, rows);

	buf_append(&mon->out, mon->held.data, n);
	buf_consume(&mon->held, n);
	if (mon->held.len)
		buf_puts(&mon->out, PAGER_PROMPT);
	mon->out_start = mon->out.len;
}

void pager_begin(struct monitor *mon)
{
	const char *text = mon->out.data + mon->out_start;
	size_t len = mon->out.len - mon->out_start;
	u32 rows = pager_rows(mon);

	if (rows < 2 || !mon->open || !len ||
	    pager_fill(mon, text, len, rows - 1) == len)
		return;
	buf_append(&mon->held, text, len);
	mon->out.len = mon->out_start;
	pager_show(mon, rows - 1);
}

void pager_key(struct monitor *mon, u8 key)
{
	u32 rows = MAX(pager_rows(mon), 2u);

	switch (key) {
	case ' ':
	case 'f': break;
	case '\r':
	case '\n':
	case 'j': rows = 2; break;
	case 'G': rows = UINT32_MAX; break;
	case 'q':
	case 'Q':
	case 0x03: buf_fini(&mon->held); break;
	default: return;
	}
	buf_puts(&mon->out, "\r\033[K");
	pager_show(mon, rows - 1);
	if (!mon->held.len)
		script_go(mon);
}
