/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Filters: what a session does with the text of a command before it is shown.
 */
#include "monitor/filter.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/alloc.h"

#define FILTER_TEXT_MAX (256 * KIB) /* of an answer that is kept */
#define FILTER_DIFF_MAX 1000000     /* pairs of lines; else all have changed */

static const char *filter_word(const char *p, char *word, size_t size)
{
	size_t n = 0;
	bool quoted;

	while (isspace((unsigned char)*p))
		p++;
	quoted = *p == '"';
	p += quoted;
	for (; *p && (quoted ? *p != '"' : !isspace((unsigned char)*p)); p++)
		if (n < size - 1)
			word[n++] = *p;
	word[n] = '\0';
	return p + (quoted && *p);
}

static bool filter_contains(const char *line, size_t len, const char *what,
			    bool any_case)
{
	size_t n = strlen(what);

	for (size_t i = 0; i + n <= len; i++)
		if (any_case ? !strncasecmp(line + i, what, n)
			     : !memcmp(line + i, what, n))
			return true;
	return false;
}

/* Length of the line at `p`, its end included. */
static size_t filter_line(const char *p)
{
	size_t n = strcspn(p, "\n");

	return n + (p[n] == '\n');
}

static void filter_grep(struct buf *text, const char *args)
{
	bool not = false, any_case = false;
	struct buf out = { 0 };
	char word[256];

	for (;;) {
		args = filter_word(args, word, sizeof word);
		if (!strcmp(word, "-v"))
			not = true;
		else if (!strcmp(word, "-i"))
			any_case = true;
		else
			break;
	}
	for (const char *p = buf_str(text); *p;) {
		size_t n = filter_line(p);

		if (filter_contains(p, n, word, any_case) != not )
			buf_append(&out, p, n);
		p += n;
	}
	buf_fini(text);
	*text = out;
}

static size_t filter_count(const struct buf *text)
{
	size_t lines = 0;

	for (const char *p = buf_str(text); *p; p += filter_line(p))
		lines++;
	return lines;
}

/* Keeps lines [first, first + count). */
static void filter_range(struct buf *text, size_t first, size_t count)
{
	struct buf out = { 0 };
	size_t i = 0;

	for (const char *p = buf_str(text); *p; i++) {
		size_t n = filter_line(p);

		if (i >= first && i - first < count)
			buf_append(&out, p, n);
		p += n;
	}
	buf_fini(text);
	*text = out;
}

/* ---- diff ---- */

static u32 filter_hash(const char *p, size_t len)
{
	u32 h = 2166136261u;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (u8)p[i]) * 16777619u;
	return h;
}

struct filter_text {
	const char **line;
	size_t *len;
	u32 *hash;
	size_t n;
};

static void filter_split(struct filter_text *t, const struct buf *text)
{
	size_t n = filter_count(text), i = 0;

	t->line = xcalloc(n + 1, sizeof *t->line);
	t->len = xcalloc(n + 1, sizeof *t->len);
	t->hash = xcalloc(n + 1, sizeof *t->hash);
	t->n = n;
	for (const char *p = buf_str(text); *p; p += t->len[i++]) {
		t->line[i] = p;
		t->len[i] = filter_line(p);
		t->hash[i] = filter_hash(p, t->len[i]);
	}
}

static void filter_text_fini(struct filter_text *t)
{
	free(t->line);
	free(t->len);
	free(t->hash);
}

static bool filter_same(const struct filter_text *a, size_t i,
			const struct filter_text *b, size_t j)
{
	return a->hash[i] == b->hash[j] && a->len[i] == b->len[j] &&
	       !memcmp(a->line[i], b->line[j], a->len[i]);
}

static void filter_put(struct buf *out, char sign, const struct filter_text *t,
		       size_t i)
{
	buf_putc(out, sign);
	buf_append(out, t->line[i], t->len[i]);
}

/* Lines [a0, a1) of the one and [b0, b1) of the other, which begin and end
 * differently, by their longest common subsequence. */
static void filter_compare(const struct filter_text *a, size_t a0, size_t a1,
			   const struct filter_text *b, size_t b0, size_t b1,
			   struct buf *out)
{
	size_t rows = a1 - a0, columns = b1 - b0, i = 0, j = 0;
	u16 *best = NULL; /* [i][j]: of what is behind i and j */

	if (rows && columns && rows < FILTER_DIFF_MAX / columns) {
		best = xcalloc((rows + 1) * (columns + 1), sizeof *best);
		for (i = rows; i-- > 0;)
			for (j = columns; j-- > 0;) {
				u16 *at = &best[i * (columns + 1) + j];

				if (filter_same(a, a0 + i, b, b0 + j))
					*at = at[columns + 2] + 1;
				else
					*at = MAX(at[1], at[columns + 1]);
			}
	}
	for (i = j = 0; i < rows || j < columns;) {
		const u16 *at = best ? &best[i * (columns + 1) + j] : NULL;

		if (at && i < rows && j < columns &&
		    filter_same(a, a0 + i, b, b0 + j)) {
			i++;
			j++;
		} else if (i < rows &&
			   (!at || j == columns || at[columns + 1] >= at[1])) {
			filter_put(out, '-', a, a0 + i++);
		} else {
			filter_put(out, '+', b, b0 + j++);
		}
	}
	free(best);
}

static void filter_show_changes(const struct buf *before, struct buf *text)
{
	struct filter_text a, b;
	struct buf out = { 0 };
	size_t first = 0, last = 0;

	filter_split(&a, before);
	filter_split(&b, text);
	while (first < MIN(a.n, b.n) && filter_same(&a, first, &b, first))
		first++;
	while (last < MIN(a.n, b.n) - first &&
	       filter_same(&a, a.n - 1 - last, &b, b.n - 1 - last))
		last++;
	filter_compare(&a, first, a.n - last, &b, first, b.n - last, &out);
	filter_text_fini(&a);
	filter_text_fini(&b);
	buf_fini(text);
	*text = out;
}

/* What the same line gave before; the oldest makes room for a new one. */
static struct filter_past *filter_remembered(struct filters *f,
					     const char *line)
{
	struct filter_past *p;

	for (int i = 0; i < FILTER_PAST_MAX; i++)
		if (f->past[i].line && !strcmp(f->past[i].line, line))
			return &f->past[i];
	p = &f->past[f->next++ % FILTER_PAST_MAX];
	free(p->line);
	buf_fini(&p->text);
	p->line = xstrdup(line);
	p->known = false;
	return p;
}

static void filter_diff(struct filters *f, struct buf *text, const char *line,
			const char *eol)
{
	struct filter_past *p = filter_remembered(f, line);
	bool first = !p->known;
	struct buf now = { 0 };

	buf_append(&now, buf_str(text),
		   MIN(text->len, (size_t)FILTER_TEXT_MAX));
	if (first) {
		size_t n = filter_count(text);

		buf_clear(text);
		buf_printf(text,
			   "kept to compare with the next answer: %zu lines%s",
			   n, eol);
	} else {
		filter_show_changes(&p->text, text);
	}
	buf_fini(&p->text);
	p->text = now;
	p->known = true;
}

void filters_fini(struct filters *f)
{
	for (int i = 0; i < FILTER_PAST_MAX; i++) {
		free(f->past[i].line);
		buf_fini(&f->past[i].text);
	}
	memset(f, 0, sizeof *f);
}

bool filter_apply(struct filters *f, struct buf *text, const char *stage,
		  const char *line, const char *eol)
{
	char name[16], number[16];
	const char *rest = filter_word(stage, name, sizeof name);
	size_t n, lines;

	filter_word(rest, number, sizeof number);
	n = *number ? strtoul(number, NULL, 10) : 10;
	if (!strcmp(name, "grep")) {
		filter_grep(text, rest);
	} else if (!strcmp(name, "head")) {
		filter_range(text, 0, n);
	} else if (!strcmp(name, "tail")) {
		lines = filter_count(text);
		filter_range(text, lines - MIN(n, lines), n);
	} else if (!strcmp(name, "count")) {
		lines = filter_count(text);
		buf_clear(text);
		buf_printf(text, "%zu%s", lines, eol);
	} else if (!strcmp(name, "diff")) {
		filter_diff(f, text, line, eol);
	} else {
		return false;
	}
	return true;
}
