/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * insight/ on a tiny image of a kernel, whole and damaged in many ways.
 */
#include "insight/insight.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/bytes.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "vmm/cpu.h"
#include "vmm/memory.h"

#define RAM_SIZE (4 * MIB)
#define MAP      0xffffffff80000000ULL

/* Physical addresses; the kernel sees them above MAP. */
enum {
	AT_TABLES = 0x1000,
	AT_INFO = 0x10000,
	AT_NUMBER = 0x20000,
	AT_BASE = 0x20008,
	AT_OFFSETS = 0x20100,
	AT_NAMES = 0x20400,
	AT_INDEX = 0x20c00,
	AT_TOKENS = 0x21000,
	AT_ORC_IP = 0x22000,
	AT_ORC = 0x22100,
	AT_BTF = 0x23000,
	AT_TASKS = 0x24000,
	AT_PRB = 0x25000,
	AT_DESCS = 0x25100,
	AT_INFOS = 0x25300,
	AT_TEXT = 0x25800,
	AT_STACK = 0x26000,
	AT_CODE = 0x100000,
	AT_END = 0x27000,
};

/* In order of address, as kallsyms has them. */
static const struct {
	const char *name; /* after its type */
	u32 at;
} symbols[] = {
	{ "D__start_orc_unwind_ip", AT_ORC_IP },
	{ "D__stop_orc_unwind_ip", AT_ORC_IP + 16 },
	{ "D__start_orc_unwind", AT_ORC },
	{ "D__start_BTF", AT_BTF },
	{ "D__stop_BTF", AT_BTF + 0x400 },
	{ "Dinit_task", AT_TASKS },
	{ "T_stext", AT_CODE },
	{ "Tentry_SYSCALL_64", AT_CODE + 0x100 },
	{ "Tschedule", AT_CODE + 0x200 },
	{ "tdo_work", AT_CODE + 0x300 },
	{ "T_etext", AT_CODE + 0x400 },
};

static struct memory mem;
static struct cpu_state cpu;
static u8 *ram;

static void put_kallsyms(void)
{
	u8 *names = ram + AT_NAMES, *tokens = ram + AT_TOKENS;
	size_t at = 0;

	put_le32(ram + AT_NUMBER, ARRAY_SIZE(symbols));
	put_le64(ram + AT_BASE, MAP);
	for (int i = 0; i < 256; i++) { /* a token is a letter */
		put_le16(ram + AT_INDEX + 2 * i, at);
		tokens[at++] = i;
		tokens[at++] = 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		size_t n = strlen(symbols[i].name);

		put_le32(ram + AT_OFFSETS + 4 * i, -1 - symbols[i].at);
		*names++ = n;
		memcpy(names, symbols[i].name, n);
		names += n;
	}
}

static void put_orc_entry(int i, u32 code, s16 offset, u16 bits)
{
	put_le32(ram + AT_ORC_IP + 4 * i, code - (AT_ORC_IP + 4 * i));
	put_le16(ram + AT_ORC + 6 * i, offset);
	put_le16(ram + AT_ORC + 6 * i + 2, 0);
	put_le16(ram + AT_ORC + 6 * i + 4, bits);
}

/* do_work, called by schedule, interrupted an entry that has no caller. */
static void put_stack(void)
{
	u8 *stack = ram + AT_STACK;

	put_orc_entry(0, AT_CODE, 0, 0);
	put_orc_entry(1, AT_CODE + 0x200, 8, 5);
	put_orc_entry(2, AT_CODE + 0x210, 16, 5 | 1 << 8);
	put_orc_entry(3, AT_CODE + 0x300, 16, 5);
	put_le64(stack + 8, MAP + AT_CODE + 0x220); /* in schedule */
	put_le64(stack + 16 + 16 + 128, MAP + AT_CODE + 0x110);
	put_le64(stack + 16 + 16 + 136, 0x10);
	cpu.rip = MAP + AT_CODE + 0x308;
	cpu.gpr[REG_RSP] = MAP + AT_STACK;
}

struct btf {
	u8 *types, *strings;
	u32 type_len, str_len;
};

static u32 btf_string(struct btf *b, const char *s)
{
	u32 at = b->str_len;

	strcpy((char *)b->strings + at, s);
	b->str_len += strlen(s) + 1;
	return at;
}

static void btf_words(struct btf *b, u32 x, u32 y, u32 z)
{
	put_le32(b->types + b->type_len, x);
	put_le32(b->types + b->type_len + 4, y);
	put_le32(b->types + b->type_len + 8, z);
	b->type_len += 12;
}

static void put_btf(void)
{
	static const struct {
		const char *name;
		u32 type, at;
	} members[] = {
		{ "thread_info", 2, 0 },
		{ "tasks", 1, 16 },
		{ "", 3, 32 },
		{ "__state", 0, 40 },
		{ "mm", 0, 48 },
		{ "comm", 0, 64 },
		{ "real_parent", 0, 80 },
		{ "on_cpu", 0, 88 },
	};

	u8 *head = ram + AT_BTF;
	struct btf b = { .types = head + 24, .strings = head + 24 + 0x200 };

	btf_string(&b, "");
	btf_words(&b, btf_string(&b, "list_head"), 4u << 24 | 2, 16);
	btf_words(&b, btf_string(&b, "next"), 0, 0);
	btf_words(&b, btf_string(&b, "prev"), 0, 64);
	btf_words(&b, btf_string(&b, "thread_info"), 4u << 24 | 1, 8);
	btf_words(&b, btf_string(&b, "cpu"), 0, 32);
	btf_words(&b, 0, 5u << 24 | 2, 8); /* a union that holds itself */
	btf_words(&b, 0, 3, 0);
	btf_words(&b, btf_string(&b, "tgid"), 0, 0);
	btf_words(&b, btf_string(&b, "task_struct"),
		  4u << 24 | (u32)ARRAY_SIZE(members), 96);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		btf_words(&b, btf_string(&b, members[i].name), members[i].type,
			  members[i].at * 8);
	put_le16(head, 0xeb9f);
	head[2] = 1;
	put_le32(head + 4, 24);
	put_le32(head + 8, 0);
	put_le32(head + 12, b.type_len);
	put_le32(head + 16, 0x200);
	put_le32(head + 20, b.str_len);
}

static void put_tasks(void)
{
	for (int i = 0; i < 3; i++) {
		u8 *t = ram + AT_TASKS + i * 0x100;
		u64 next = MAP + AT_TASKS + (i + 1) % 3 * 0x100 + 16;
		u64 prev = MAP + AT_TASKS + (i + 2) % 3 * 0x100 + 16;

		put_le32(t + 4, i % 2);
		put_le64(t + 16, next);
		put_le64(t + 24, prev);
		put_le32(t + 32, i);
		put_le32(t + 40, i == 2);
		put_le64(t + 48, i == 1);
		sprintf((char *)t + 64, "task%d\033", i);
		put_le64(t + 80, MAP + AT_TASKS);
		put_le32(t + 88, i == 1);
	}
}

/* Two bits of descriptors, 64 bytes of text; three records. */
static void put_dmesg(void)
{
	static const struct {
		u32 begin, next;
		const char *text;
	} records[] = { { 8, 24, "hello" },
			{ 24, 48, "two\nlines\033" },
			{ 56, 64 + 16, "wrapped" } };

	put_le64(ram + AT_PRB - 8, MAP + AT_PRB); /* the pointer "prb" */
	put_le32(ram + AT_PRB, 2);
	put_le64(ram + AT_PRB + 8, MAP + AT_DESCS);
	put_le64(ram + AT_PRB + 16, MAP + AT_INFOS);
	put_le64(ram + AT_PRB + 24, 6); /* head */
	put_le64(ram + AT_PRB + 32, 4); /* tail */
	put_le32(ram + AT_PRB + 40, 6);
	put_le64(ram + AT_PRB + 48, MAP + AT_TEXT);
	for (int i = 0; i < 3; i++) {
		u8 *desc = ram + AT_DESCS + 24 * i;
		u8 *info = ram + AT_INFOS + 88 * i;
		u32 text = records[i].begin + 8;

		if (records[i].next >= 64)
			text = 8;
		put_le64(desc, 2ULL << 62 | (4 + i));
		put_le64(desc + 8, records[i].begin);
		put_le64(desc + 16, records[i].next);
		put_le64(info, i);
		put_le64(info + 8, i * 1500000000ULL);
		put_le16(info + 16, strlen(records[i].text));
		info[19] = 6 << 5;
		memcpy(ram + AT_TEXT + text, records[i].text,
		       strlen(records[i].text));
	}
}

static void put_info(void)
{
	sprintf((char *)ram + AT_INFO,
		"OSRELEASE=6.1.0-test\nPAGESIZE=4096\n"
		"SYMBOL(swapper_pg_dir)=%llx\nSYMBOL(_stext)=%llx\n"
		"SYMBOL(kallsyms_names)=%llx\nSYMBOL(kallsyms_num_syms)=%llx\n"
		"SYMBOL(kallsyms_token_table)=%llx\n"
		"SYMBOL(kallsyms_token_index)=%llx\n"
		"SYMBOL(kallsyms_offsets)=%llx\n"
		"SYMBOL(kallsyms_relative_base)=%llx\n"
		"NUMBER(phys_base)=0\nSYMBOL(prb)=%llx\n"
		"OFFSET(printk_ringbuffer.desc_ring)=0\n"
		"OFFSET(printk_ringbuffer.text_data_ring)=40\n"
		"OFFSET(prb_desc_ring.count_bits)=0\n"
		"OFFSET(prb_desc_ring.descs)=8\n"
		"OFFSET(prb_desc_ring.infos)=16\n"
		"OFFSET(prb_desc_ring.head_id)=24\n"
		"OFFSET(prb_desc_ring.tail_id)=32\n"
		"OFFSET(prb_data_ring.size_bits)=0\n"
		"OFFSET(prb_data_ring.data)=8\nSIZE(prb_desc)=24\n"
		"OFFSET(prb_desc.state_var)=0\n"
		"OFFSET(prb_desc.text_blk_lpos)=8\n"
		"OFFSET(prb_data_blk_lpos.begin)=0\n"
		"OFFSET(prb_data_blk_lpos.next)=8\nSIZE(printk_info)=88\n"
		"OFFSET(printk_info.seq)=0\nOFFSET(printk_info.ts_nsec)=8\n"
		"OFFSET(printk_info.text_len)=16\n"
		"OFFSET(atomic_long_t.counter)=0\n",
		MAP + AT_TABLES, MAP + AT_CODE, MAP + AT_NAMES, MAP + AT_NUMBER,
		MAP + AT_TOKENS, MAP + AT_INDEX, MAP + AT_OFFSETS,
		MAP + AT_BASE, MAP + AT_PRB - 8);
}

static void setup(void)
{
	struct err err = { 0 };

	memset(&mem, 0, sizeof mem);
	memset(&cpu, 0, sizeof cpu);
	ck_assert_int_eq(mem_add_ram(&mem, "ram", 0, RAM_SIZE, false, &err), 0);
	ram = mem.ram[0].host;
	put_le64(ram + AT_TABLES + 511 * 8, (AT_TABLES + 0x1000) | 3);
	put_le64(ram + AT_TABLES + 0x1000 + 510 * 8, (AT_TABLES + 0x2000) | 3);
	put_le64(ram + AT_TABLES + 0x2000, 0x83);
	put_kallsyms();
	put_stack();
	put_btf();
	put_tasks();
	put_dmesg();
	put_info();
	cpu.lstar = MAP + AT_CODE + 0x100;
}

static void teardown(void)
{
	mem_fini(&mem);
}

/* ---- what is found ---- */

static char said[4096];

static void say(const char *text)
{
	strncat(said, text, sizeof said - strlen(said) - 1);
}

static void say_frame(void *arg, const struct insight_frame *f)
{
	char text[700];

	snprintf(text, sizeof text, "%s+%#llx ", f->name ? f->name : "?",
		 (unsigned long long)f->offset);
	say(text);
}

static void say_record(void *arg, u64 seq, u64 ns, int level, const char *text)
{
	say(text);
	say("|");
	for (; *text; text++)
		ck_assert(*text == '\n' || *text == '\t' ||
			  (*text >= ' ' && *text <= '~'));
}

static void say_task(void *arg, const struct insight_task *t)
{
	char text[80];

	snprintf(text, sizeof text, "%d/%d %s %d%d%d ", t->pid, t->cpu, t->comm,
		 t->running, t->kernel, (int)t->state);
	say(text);
}

/* Everything there is; true when the kernel was found. */
static bool look(bool any)
{
	struct err err = { 0 };
	struct insight *ins = insight_open(&mem, &cpu, any, &err);
	u64 v;

	said[0] = '\0';
	if (!ins) {
		ck_assert(err.msg[0]);
		say(err.msg);
		return false;
	}
	insight_backtrace(ins, &cpu, say_frame, NULL, &err);
	say(";");
	insight_tasks(ins, say_task, NULL, &err);
	say(";");
	insight_dmesg(ins, say_record, NULL, &err);
	insight_symbol(ins, cpu.rip, &v);
	insight_find(ins, "nothing", &v);
	insight_alive(ins, &cpu);
	insight_close(ins);
	return true;
}

START_TEST(insight_sees_a_whole_kernel)
{
	ck_assert(look(false));
	ck_assert_str_eq(said, "do_work+0x8 schedule+0x20 "
			       "entry_SYSCALL_64+0x10 ;"
			       "0/0 task0? 010 1/1 task1? 100 2/0 task2? 011 ;"
			       "hello|two\nlines?|wrapped|");
}

END_TEST

START_TEST(insight_reads_plain_offsets_too)
{
	put_le64(ram + AT_BASE, MAP);
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++)
		put_le32(ram + AT_OFFSETS + 4 * i, symbols[i].at);
	ck_assert(look(false));
	ck_assert_ptr_nonnull(strstr(said, "do_work+0x8"));
}

END_TEST

START_TEST(insight_reads_the_orc_of_later_kernels)
{
	put_orc_entry(0, AT_CODE, 0, 5 | 1 << 8); /* ends the stack */
	put_orc_entry(1, AT_CODE + 0x200, 8, 5 | 2 << 8);
	put_orc_entry(2, AT_CODE + 0x210, 16, 5 | 3 << 8);
	put_orc_entry(3, AT_CODE + 0x300, 16, 5 | 2 << 8);
	ck_assert(look(false));
	ck_assert_ptr_nonnull(strstr(said, "do_work+0x8 schedule+0x20 "
					   "entry_SYSCALL_64+0x10 ;"));
}

END_TEST

START_TEST(insight_does_not_take_one_that_does_not_run)
{
	cpu.lstar = 0;
	ck_assert(!look(false));
	ck_assert_ptr_nonnull(strstr(said, "does not run it"));
	ck_assert(look(true)); /* its log may be asked for */
	cpu.lstar = MAP + AT_CODE + 0x101;
	ck_assert(!look(false));
}

END_TEST

START_TEST(insight_refuses_what_is_not_there)
{
	ram[AT_INFO] = 'X';
	ck_assert(!look(true));
	ck_assert_ptr_nonnull(strstr(said, "no VMCOREINFO"));
	ram[AT_INFO] = 'O';
	put_le64(ram + AT_TABLES + 511 * 8, 0);
	ck_assert(!look(true));
	ck_assert_ptr_nonnull(strstr(said, "page tables"));
}

END_TEST

static u64 noise_state;

static u32 noise(u32 below)
{
	noise_state = noise_state * 6364136223846793005ULL + 1;
	return (noise_state >> 33) % below;
}

/* Whatever the bytes are: an answer, soon, and no access outside. */
START_TEST(insight_survives_damage)
{
	static const u8 favourites[] = { 0x00, 0x01, 0x7f, 0x80, 0xff, 0xc3 };
	static const u32 places[] = { AT_TABLES, AT_INFO,   AT_NUMBER, AT_NAMES,
				      AT_INDEX,  AT_ORC_IP, AT_BTF,    AT_TASKS,
				      AT_PRB,    AT_STACK,  AT_OFFSETS };
	u8 *whole = malloc(AT_END);
	u64 end = clock_mono_ns() + 8 * NS_PER_S;
	int found = 0, rounds = 0;

	memcpy(whole, ram, AT_END);
	noise_state = 88172645463325252ULL + _i;
	while (rounds < 3000 && clock_mono_ns() < end) {
		for (u32 n = 1 + noise(6); n; n--) {
			u32 at = places[noise(ARRAY_SIZE(places))] +
				 noise(noise(2) ? 64 : 0x800);

			ram[at] =
				noise(2) ? noise(256)
					 : favourites[noise(sizeof favourites)];
		}
		found += look(noise(2));
		rounds++;
		memcpy(ram, whole, AT_END);
	}
	ck_assert_int_gt(found, rounds / 20);
	ck_assert_int_gt(rounds, 20);
	free(whole);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("insight");
	TCase *tc = tcase_create("insight");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, insight_sees_a_whole_kernel);
	tcase_add_test(tc, insight_reads_plain_offsets_too);
	tcase_add_test(tc, insight_reads_the_orc_of_later_kernels);
	tcase_add_test(tc, insight_does_not_take_one_that_does_not_run);
	tcase_add_test(tc, insight_refuses_what_is_not_there);
	tcase_add_loop_test(tc, insight_survives_damage, 0, 3);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
