/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Line editing: what keys do to the line, and that a terminal which obeys
 * the echo shows the same line and cursor.
 */
#include "monitor/readline.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"

static struct readline rl;
static struct buf echo;
static char last[RL_LINE_MAX + 1];
static int lines, leaves;

/* ---- a one-line terminal ---- */

static struct {
	char cell[8192];
	int at, len;
	bool off;
} term;

static void term_reset(void)
{
	memset(&term, 0, sizeof term);
}

static void term_csi(const char **p)
{
	int n = 0;

	while (**p >= '0' && **p <= '9')
		n = n * 10 + (*(*p)++ - '0');
	switch (*(*p)++) {
	case 'D': term.at -= n ? n : 1; break;
	case 'C': term.at += n ? n : 1; break;
	case 'K': term.len = term.at; break;
	case 'J':
	case ';':
	case 'H': break;
	default: ck_abort_msg("unexpected sequence");
	}
	ck_assert_int_ge(term.at, 0);
	ck_assert_int_le(term.at, term.len);
}

/* One column per byte: tests of wider characters look at bytes instead. */
static void term_feed(const char *p, const char *end)
{
	while (p < end) {
		if (*p == '\033') {
			p += 2;
			term_csi(&p);
		} else if (*p == '\r' || *p == '\n') {
			term_reset();
			p++;
		} else {
			term.cell[term.at++] = *p++;
			if (term.at > term.len)
				term.len = term.at;
		}
	}
}

static void test_write(void *opaque, const char *data, size_t len)
{
	buf_append(&echo, data, len);
	if (!term.off)
		term_feed(data, data + len);
}

static void test_line(void *opaque, const char *line)
{
	snprintf(last, sizeof last, "%s", line);
	lines++;
	rl_prompt(&rl);
}

static const char *const words[] = { "block",   "blockstats", "block-jobs",
				     "balloon", "quit",       "dir/" };

static void test_complete(void *opaque, struct readline *r, const char *text)
{
	const char *word = strrchr(text, ' ');

	word = word ? word + 1 : text;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strncmp(words[i], word, strlen(word)))
			rl_candidate(r, strlen(word), words[i]);
}

static void test_leave(void *opaque)
{
	leaves++;
}

static const struct readline_ops ops = {
	.write = test_write,
	.line = test_line,
	.complete = test_complete,
	.leave = test_leave,
};

static void setup(void)
{
	rl_init(&rl, &ops, NULL, "> ");
	rl_prompt(&rl);
	buf_clear(&echo);
}

static void teardown(void)
{
	rl_fini(&rl);
	buf_fini(&echo);
	term_reset();
	lines = 0;
	last[0] = '\0';
}

static void type_n(const char *s, size_t n)
{
	buf_clear(&echo);
	for (size_t i = 0; i < n; i++)
		rl_byte(&rl, (u8)s[i]);
}

static void type(const char *s)
{
	type_n(s, strlen(s));
}

static void expect(const char *line, size_t cursor)
{
	ck_assert_uint_eq(rl.len, strlen(line));
	ck_assert_int_eq(memcmp(rl.line, line, rl.len), 0);
	ck_assert_uint_eq(rl.pos, cursor);
}

static void expect_screen(void)
{
	char shown[8192];

	snprintf(shown, sizeof shown, "> %.*s", (int)rl.len, rl.line);
	ck_assert_int_eq(term.len, (int)strlen(shown));
	ck_assert_int_eq(memcmp(term.cell, shown, term.len), 0);
	ck_assert_int_eq(term.at, 2 + (int)rl.pos);
}

/* ---- tests ---- */

START_TEST(readline_echoes_a_typed_byte_as_itself)
{
	type("p 1");
	ck_assert_str_eq(buf_str(&echo), "p 1");
	expect("p 1", 3);
	type("\r");
	ck_assert_str_eq(buf_str(&echo), "\r\n> ");
	ck_assert_str_eq(last, "p 1");
}

END_TEST

START_TEST(readline_takes_cr_and_lf_as_enter)
{
	type("a\n");
	ck_assert_int_eq(lines, 1);
	type("b\r\n");
	ck_assert_int_eq(lines, 3);
	ck_assert_str_eq(last, "");
}

END_TEST

/* Typed after "abc def"; what the line is then, and where the cursor. */
static const struct {
	const char *keys, *line;
	int cursor;
} edits[] = {
	{ "\x01", "abc def", 0 },
	{ "\x01X", "Xabc def", 1 },
	{ "\033[1~X", "Xabc def", 1 },
	{ "\033[7~X", "Xabc def", 1 },
	{ "\033OHX", "Xabc def", 1 },
	{ "\033[HX", "Xabc def", 1 },
	{ "\x01\x05X", "abc defX", 8 },
	{ "\x01\033[4~X", "abc defX", 8 },
	{ "\x01\033[8~X", "abc defX", 8 },
	{ "\x01\033OFX", "abc defX", 8 },
	{ "\x01\033[FX", "abc defX", 8 },
	{ "\033[DX", "abc deXf", 7 },
	{ "\033ODX", "abc deXf", 7 },
	{ "\x9b"
	  "DX",
	  "abc deXf", 7 }, /* 8-bit CSI */
	{ "\x02X", "abc deXf", 7 },
	{ "\x01\033[CX", "aXbc def", 2 },
	{ "\x01\x06X", "aXbc def", 2 },
	{ "\033[C", "abc def", 7 },
	{ "\x08", "abc de", 6 },
	{ "\x7f", "abc de", 6 },
	{ "\x01\x7f", "abc def", 0 },
	{ "\x15\x19X", "abc defX", 8 },
	{ "\x17\x19\x19", "abc defdef", 10 },
	{ "\x19", "abc def", 7 },
	{ "\x01\x04", "bc def", 0 },
	{ "\x01\033[3~", "bc def", 0 },
	{ "\x04", "abc def", 7 },
	{ "\x17", "abc ", 4 },
	{ "\x17\x17", "", 0 },
	{ "\x17\x17\x17", "", 0 },
	{ "\x15", "", 0 },
	{ "\033[D\x15", "f", 0 },
	{ "\x0b", "abc def", 7 },
	{ "\x01\x06\x0b", "a", 1 },
	{ "\033[1;5D", "abc def", 4 },
	{ "\033[5D", "abc def", 4 },
	{ "\033[1;3D", "abc def", 4 },
	{ "\033Od", "abc def", 4 },
	{ "\033b", "abc def", 4 },
	{ "\033b\033b", "abc def", 0 },
	{ "\x01\033[1;5C", "abc def", 3 },
	{ "\x01\033f\033f", "abc def", 7 },
	{ "\x01\033"
	  "d",
	  " def", 0 },
	{ "\033\x7f", "abc ", 4 },
	{ "\033[20;5~", "abc def", 7 }, /* unknown keys insert nothing */
	{ "\033[?25h", "abc def", 7 },
	{ "\033[[A", "abc def", 7 },
	{ "\033[200~", "abc def", 7 },
	{ "\033[1;2;3;4;5;6P", "abc def", 7 },
	{ "\033[99999999999999C", "abc def", 7 },
	{ "\033OP", "abc def", 7 },
	{ "\033z", "abc def", 7 },
	{ "\033[1\x01X", "Xabc def", 1 }, /* cut short by a control */
	{ "\x07\x12\x14\x16\x19\x1a", "abc def", 7 },
};

START_TEST(readline_keys_edit_the_line_and_the_screen)
{
	type("abc def");
	type(edits[_i].keys);
	expect(edits[_i].line, edits[_i].cursor);
	expect_screen();
}

END_TEST

START_TEST(readline_ignores_nul)
{
	type_n("a\0b", 3);
	expect("ab", 2);
}

END_TEST

START_TEST(readline_ctrl_c_drops_the_line)
{
	type("abc\x03");
	expect("", 0);
	ck_assert_int_eq(lines, 0);
	type("x\r");
	ck_assert_str_eq(last, "x");
}

END_TEST

START_TEST(readline_ctrl_l_clears_and_redraws)
{
	type("abc\033[D");
	type("\x0c");
	ck_assert_str_eq(buf_str(&echo), "\033[2J\033[1;1H> abc\033[D");
}

END_TEST

START_TEST(readline_erases_a_whole_utf8_character)
{
	type("a\xc3\xa9"); /* e acute */
	ck_assert_str_eq(buf_str(&echo), "a\xc3\xa9");
	type("\x7f");
	expect("a", 1);
	ck_assert_str_eq(buf_str(&echo), "\033[D\033[K");
	type("\xe4\xb8\xad\xe6\x96\x87"); /* two columns each */
	type("\033[D");
	ck_assert_str_eq(buf_str(&echo), "\033[2D");
	type("x");
	ck_assert_str_eq(buf_str(&echo), "x\xe6\x96\x87\033[2D");
	type("\x01\x04\x04");
	expect("x\xe6\x96\x87", 0);
	/* U+005B has 0x9b as its last byte in no character cut short. */
	type("\x15\x0b\xc2\x9b"
	     "D");
	expect("\xc2\x9b"
	       "D",
	       3);
}

END_TEST

START_TEST(readline_drops_broken_utf8)
{
	type("a\xc3"
	     "b\xff\x80\xe4\xb8"
	     "c");
	expect("abc", 3);
}

END_TEST

START_TEST(readline_stops_at_the_longest_line)
{
	char *text = malloc(RL_LINE_MAX + 101);

	memset(text, 'a', RL_LINE_MAX + 100);
	text[RL_LINE_MAX + 100] = '\0';
	type(text);
	ck_assert_uint_eq(rl.len, RL_LINE_MAX);
	ck_assert_uint_eq(echo.len, RL_LINE_MAX); /* not squared */
	type("\033[D\x7f\r");
	ck_assert_uint_eq(strlen(last), RL_LINE_MAX - 1);
	free(text);
}

END_TEST

START_TEST(readline_history_goes_up_and_down)
{
	type("one\rtwo\r");
	type("\033[A");
	expect("two", 3);
	expect_screen();
	type("\x10");
	expect("one", 3);
	type("\033OA");
	expect("one", 3);
	type("\033[B");
	expect("two", 3);
	type("\x0e");
	expect("", 0);
	expect_screen();
	type("\033[B");
	expect("", 0);
}

END_TEST

START_TEST(readline_history_moves_a_repeated_line_to_the_end)
{
	type("one\rtwo\rthree\rone\r\r");
	ck_assert_int_eq(rl.history_len, 3);
	ck_assert_str_eq(rl.history[0], "two");
	ck_assert_str_eq(rl.history[1], "three");
	ck_assert_str_eq(rl.history[2], "one");
	type("   \r"); /* blank, yet kept */
	ck_assert_int_eq(rl.history_len, 4);
}

END_TEST

START_TEST(readline_recalls_lines_behind_an_exclamation_mark)
{
	static const char *const typed[][2] = {
		{ "!0\n", "one" },  { "!!\n", "one" },
		{ "!tw\n", "two" }, { "!-3\n", "three" },
		{ "!\n", "!" },     { "!x y\n", "!x y" },
		{ "!99\n", "!99" }, { "!-99\n", "!-99" },
		{ "! 1\n", "! 1" },
	};

	type("one\ntwo\nthree\n");
	for (size_t i = 0; i < ARRAY_SIZE(typed); i++) {
		type(typed[i][0]);
		ck_assert_str_eq(last, typed[i][1]);
	}
	/* What runs is shown, and is the newest line. */
	buf_clear(&echo);
	type("!one\n");
	ck_assert_str_eq(buf_str(&echo), "!one\r\none\r\n> ");
	ck_assert_str_eq(rl.history[rl.history_len - 1], "one");
}

END_TEST

START_TEST(readline_ctrl_d_leaves_from_an_empty_line_only)
{
	type("ab\001\004");
	ck_assert_int_eq(leaves, 0);
	type("\004"); /* deletes the last one */
	ck_assert_int_eq(leaves, 0);
	ck_assert_uint_eq(rl.len, 0);
	type("\004");
	ck_assert_int_eq(leaves, 1);
}

END_TEST

START_TEST(readline_searches_the_history)
{
	type("block a\rquit\rblock b\rinfo\rxyz\x12");
	expect("xyz", 3);
	type("bl");
	expect("block b", 0);
	type("\x12");
	expect("block a", 0);
	type("\x12"); /* no other: it stays */
	expect("block a", 0);
	type("\x7f\x7fqu");
	expect("quit", 0);
	type("\x07");
	expect("xyz", 3);
	expect_screen();
	type("\x12k b\x05!");
	expect("block b!", 8);
	expect_screen();
	type("\x15\x12qui\r");
	ck_assert_str_eq(last, "quit");
	ck_assert_str_eq(rl.history[rl.history_len - 1], "quit");
	type("\x12\x12\x7f\x7f\x03");
	expect("", 0);
	type("\x12qu");
	rl_reset(&rl);
	ck_assert_str_eq(rl.prompt, "> ");
}

END_TEST

START_TEST(readline_history_appends_an_edited_entry)
{
	type("one\rtwo\r\033[A\033[Ax\r");
	ck_assert_int_eq(rl.history_len, 3);
	ck_assert_str_eq(rl.history[0], "one");
	ck_assert_str_eq(rl.history[2], "onex");
}

END_TEST

START_TEST(readline_history_keeps_the_newest_64)
{
	char line[32];

	for (int i = 0; i < 100; i++) {
		snprintf(line, sizeof line, "line %d\r", i);
		type(line);
	}
	ck_assert_int_eq(rl.history_len, RL_HISTORY_MAX);
	ck_assert_str_eq(rl.history[0], "line 36");
	ck_assert_str_eq(rl.history[63], "line 99");
}

END_TEST

START_TEST(readline_completes_the_only_candidate_with_a_blank)
{
	type("qu\t");
	ck_assert_str_eq(buf_str(&echo), "quit ");
	expect("quit ", 5);
	type("\x15"
	     "d\t"); /* unless it is a directory */
	expect("dir/", 4);
}

END_TEST

START_TEST(readline_lists_candidates_in_columns)
{
	type("info b\t");
	ck_assert_str_eq(buf_str(&echo),
			 "info b\r\n"
			 "balloon     block       block-jobs  blockstats  \r\n"
			 "> info b");
	type("lo\t");
	ck_assert_str_eq(buf_str(&echo),
			 "lo\r\nblock       block-jobs  blockstats  \r\n"
			 "> info block");
	expect("info block", 10);
}

END_TEST

START_TEST(readline_completes_left_of_the_cursor)
{
	type("qu x\033[D\033[D\t");
	expect("quit  x", 5);
	expect_screen();
}

END_TEST

START_TEST(readline_is_silent_without_candidates)
{
	type("zz\t");
	ck_assert_str_eq(buf_str(&echo), "zz");
}

END_TEST

START_TEST(readline_screen_follows_random_keys)
{
	static const char *const keys[] = {
		"a",      "b c",    " ",      "\x7f",      "\x04",
		"\033[D", "\033[C", "\033[A", "\033[B",    "\x01",
		"\x05",   "\x17",   "\x15",   "\x0b",      "\033[1;5C",
		"\t",     "qu",     "blo",    "\033[1;5D", "x\r",
	};

	srandom(11);
	for (int i = 0; i < 20000; i++) {
		if (rl.len > 60)
			type("\r");
		type(keys[random() % ARRAY_SIZE(keys)]);
		expect_screen();
	}
}

END_TEST

START_TEST(readline_survives_any_bytes)
{
	term.off = true; /* it knows no wide characters */
	srandom(12);
	for (int i = 0; i < 300000; i++) {
		rl_byte(&rl, random());
		ck_assert_uint_le(rl.pos, rl.len);
		ck_assert_uint_le(rl.len, RL_LINE_MAX);
		buf_clear(&echo);
	}
}

END_TEST

int main(void)
{
	Suite *s = suite_create("monitor_readline");
	TCase *t = tcase_create("readline");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 20);
	tcase_add_test(t, readline_echoes_a_typed_byte_as_itself);
	tcase_add_test(t, readline_takes_cr_and_lf_as_enter);
	tcase_add_loop_test(t, readline_keys_edit_the_line_and_the_screen, 0,
			    ARRAY_SIZE(edits));
	tcase_add_test(t, readline_ignores_nul);
	tcase_add_test(t, readline_ctrl_c_drops_the_line);
	tcase_add_test(t, readline_ctrl_l_clears_and_redraws);
	tcase_add_test(t, readline_erases_a_whole_utf8_character);
	tcase_add_test(t, readline_drops_broken_utf8);
	tcase_add_test(t, readline_stops_at_the_longest_line);
	tcase_add_test(t, readline_history_goes_up_and_down);
	tcase_add_test(t, readline_history_moves_a_repeated_line_to_the_end);
	tcase_add_test(t, readline_recalls_lines_behind_an_exclamation_mark);
	tcase_add_test(t, readline_ctrl_d_leaves_from_an_empty_line_only);
	tcase_add_test(t, readline_searches_the_history);
	tcase_add_test(t, readline_history_appends_an_edited_entry);
	tcase_add_test(t, readline_history_keeps_the_newest_64);
	tcase_add_test(t, readline_completes_the_only_candidate_with_a_blank);
	tcase_add_test(t, readline_lists_candidates_in_columns);
	tcase_add_test(t, readline_completes_left_of_the_cursor);
	tcase_add_test(t, readline_is_silent_without_candidates);
	tcase_add_test(t, readline_screen_follows_random_keys);
	tcase_add_test(t, readline_survives_any_bytes);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
