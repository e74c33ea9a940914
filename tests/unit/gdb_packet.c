/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * gdb's packets, whole and in ruins; the registers' description.
 */
#include "gdb/packet.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "gdb/regs.h"
#include "tests/unit/fuzz.h"

static struct gdb_link link;

static void setup(void)
{
	memset(&link, 0, sizeof link);
	gdb_link_init(&link);
}

static void teardown(void)
{
	buf_fini(&link.out);
	buf_fini(&link.last);
}

/* Feeds all of it; how many packets and interrupts came of it. */
static u32 feed(const void *data, size_t len, u32 *ret_interrupts)
{
	const u8 *p = data;
	u32 packets = 0, interrupts = 0;

	for (size_t n = 0; n < len; n++) {
		enum gdb_link_event e = gdb_link_byte(&link, p[n]);

		packets += e == GDB_LINK_PACKET;
		interrupts += e == GDB_LINK_INTERRUPT;
	}
	if (ret_interrupts)
		*ret_interrupts = interrupts;
	return packets;
}

static void check_in(const char *text)
{
	ck_assert_str_eq((const char *)link.in, text);
	ck_assert_uint_eq(link.in_len, strlen(text));
}

static void check_out(const char *text)
{
	ck_assert_str_eq(buf_str(&link.out), text);
	buf_clear(&link.out);
}

START_TEST(packet_is_taken_and_confirmed)
{
	ck_assert_uint_eq(feed("$m10,4#2e", 9, NULL), 1);
	check_in("m10,4");
	check_out("+");
	ck_assert_uint_eq(feed("$#00", 4, NULL), 1);
	check_in("");
	check_out("+");
	link.no_ack = true;
	ck_assert_uint_eq(feed("$?#3F", 5, NULL), 1);
	check_out("");
}

END_TEST

START_TEST(escapes_and_interrupts)
{
	u32 interrupts;

	/* '}' ']' is '}', '}' 0x03 is '#'; 0x03 in a packet is data. */
	ck_assert_uint_eq(feed("$X}]}\x03\x03#b5", 10, &interrupts), 1);
	ck_assert_uint_eq(interrupts, 0);
	check_in("X}#\x03");
	feed("\x03\x03+-\x03", 5, &interrupts);
	ck_assert_uint_eq(interrupts, 3);
}

END_TEST

START_TEST(wrong_sum_is_refused)
{
	ck_assert_uint_eq(feed("$g#00", 5, NULL), 0);
	check_out("-");
	ck_assert_uint_eq(feed("$g#zz", 5, NULL), 0);
	check_out("-");
	/* What comes next is whole. */
	ck_assert_uint_eq(feed("$g#6$g#67", 9, NULL), 1);
	check_out("-+");
	ck_assert_uint_eq(feed("junk$gg$g#67", 12, NULL), 1);
	check_in("g");
}

END_TEST

START_TEST(long_packet_is_refused_and_skipped)
{
	char *text = malloc(GDB_PACKET_MAX + 2);

	memset(text, 'a', GDB_PACKET_MAX + 2);
	ck_assert_uint_eq(feed("$", 1, NULL), 0);
	ck_assert_uint_eq(feed(text, GDB_PACKET_MAX, NULL), 0);
	ck_assert_uint_eq(feed("#00", 3, NULL), 1); /* 0x61 * 0x4000 */
	check_out("+");
	ck_assert_uint_eq(feed("$", 1, NULL), 0);
	ck_assert_uint_eq(feed(text, GDB_PACKET_MAX + 1, NULL), 0);
	ck_assert_uint_eq(feed("#61", 3, NULL), 0);
	check_out("+$E22#a9");
	free(text);
}

END_TEST

START_TEST(answer_is_framed_and_repeated)
{
	gdb_link_send(&link, "a$b#c}d*", 8);
	check_out("$a}\x04"
		  "b}\x03"
		  "c}]d}\x0a#ec");
	feed("-", 1, NULL);
	ck_assert_uint_gt(link.out.len, 0);
	buf_clear(&link.out);
	feed("+-", 2, NULL);
	check_out("");
	link.no_ack = true;
	gdb_link_send(&link, "OK", 2);
	check_out("$OK#9a");
	feed("-", 1, NULL);
	check_out("");
}

END_TEST

START_TEST(hex_digits)
{
	struct buf out = { 0 };

	ck_assert(gdb_hex_decode("00fFa5", 6, &out));
	ck_assert_uint_eq(out.len, 3);
	ck_assert_mem_eq(out.data, "\x00\xff\xa5", 3);
	buf_clear(&out);
	ck_assert(!gdb_hex_decode("123", 3, &out));
	ck_assert(!gdb_hex_decode("1g", 2, &out));
	buf_clear(&out);
	gdb_hex_encode("\x01\xfe", 2, &out);
	ck_assert_str_eq(buf_str(&out), "01fe");
	buf_fini(&out);
}

END_TEST

/* What goes out comes in again, whatever lies between. */
START_TEST(packets_survive_random_bytes)
{
	static const u8 marks[] = "$#}+-*\x03"
				  "0f";
	u64 packets = 0, rounds = 0;
	u8 data[512];

	fuzz_begin("gdb packets", 1);
	do {
		size_t len = fuzz_below(sizeof data);
		struct buf framed = { 0 };

		link.no_ack = fuzz_below(2);
		for (size_t n = 0; n < len; n++)
			data[n] = fuzz_below(2)
					  ? marks[fuzz_below(sizeof marks - 1)]
					  : (u8)fuzz_draw();
		packets += feed(data, len, NULL);
		ck_assert_uint_le(link.in_len, GDB_PACKET_MAX);
		gdb_link_init(&link);
		gdb_link_send(&link, data, len);
		buf_append(&framed, link.out.data, link.out.len);
		ck_assert_uint_eq(feed(framed.data, framed.len, NULL), 1);
		ck_assert_uint_eq(link.in_len, len);
		ck_assert_mem_eq(link.in, data, len);
		buf_fini(&framed);
		gdb_link_init(&link);
		rounds++;
	} while (fuzz_goes_on());
	printf("%llu rounds, %llu packets by chance\n",
	       (unsigned long long)rounds, (unsigned long long)packets);
}

END_TEST

static u32 count_regs(u32 has)
{
	struct buf xml = { 0 };
	u32 n = 0;

	gdb_regs_xml(has, &xml);
	for (const char *p = buf_str(&xml); (p = strstr(p, "<reg ")); p++)
		n++;
	buf_fini(&xml);
	return n;
}

START_TEST(every_register_can_be_read_and_written)
{
	static const u32 kinds[] = { 0, GDB_HAS_AVX,
				     GDB_HAS_AVX | GDB_HAS_AVX512 };
	struct cpu_state c = { 0 };
	u8 value[GDB_REG_MAX], back[GDB_REG_MAX];

	for (u32 k = 0; k < ARRAY_SIZE(kinds); k++) {
		u32 n = 0, size;

		while ((size = gdb_reg_get(&c, kinds[k], n, value))) {
			memset(value, (int)(0x11 + n), sizeof value);
			ck_assert_uint_eq(gdb_reg_set(&c, kinds[k], n, value),
					  size);
			ck_assert_uint_eq(gdb_reg_get(&c, kinds[k], n, back),
					  size);
			if (size >= 8)
				ck_assert_mem_eq(back, value, size);
			n++;
		}
		ck_assert_uint_eq(n, count_regs(kinds[k]));
		ck_assert_uint_eq(gdb_reg_set(&c, kinds[k], n, value), 0);
		ck_assert_uint_eq(gdb_reg_get(&c, kinds[k], ~0u, value), 0);
	}
}

END_TEST

int main(void)
{
	Suite *s = suite_create("gdb_packet");
	TCase *tc = tcase_create("packets");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, fuzz_timeout());
	tcase_add_test(tc, packet_is_taken_and_confirmed);
	tcase_add_test(tc, escapes_and_interrupts);
	tcase_add_test(tc, wrong_sum_is_refused);
	tcase_add_test(tc, long_packet_is_refused_and_skipped);
	tcase_add_test(tc, answer_is_framed_and_repeated);
	tcase_add_test(tc, hex_digits);
	tcase_add_test(tc, packets_survive_random_bytes);
	tcase_add_test(tc, every_register_can_be_read_and_written);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
