/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The firmware's services as a boot loader calls them: each is called and
 * looked at, lines "PASS ..." and "FAIL ..." go to the debug console, and the
 * machine ends with the number of failures.
 *
 * Runs in real mode with DS = ES = SS = 0; the disk has 2048 sectors.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

#define SECTORS_ON_DISK 2048u
#define BUFFER          ((volatile u8 *)0xd000)
#define COPY            ((volatile u8 *)0xe000)
#define CF              0x01u
#define ZF              0x40u

struct regs {
	u32 a, b, c, d, si, di, bp, flags;
};

void bios(u32 number, struct regs *r);
void main(u32 drive);

static u32 failures;

static void outb(u16 port, u8 value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void outl(u16 port, u32 value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static u16 screen(u16 cell)
{
	u16 value;

	__asm__ volatile("pushw %%fs\n\tmovw %1, %%fs\n\tmovw %%fs:(%2), %0\n\t"
			 "popw %%fs"
			 : "=&r"(value)
			 : "r"((u16)0xb800), "r"((u32)cell * 2));
	return value;
}

static u16 word(u16 at)
{
	return *(volatile u16 *)(u32)at;
}

static void say(const char *text)
{
	while (*text)
		outb(0xe9, *text++);
}

static void check(int ok, const char *what)
{
	say(ok ? "PASS " : "FAIL ");
	say(what);
	say("\n");
	failures += !ok;
}

static struct regs call(u8 number, u32 a, u32 b, u32 c, u32 d)
{
	struct regs r = { a, b, c, d, 0x1111, 0x2222, 0x3333, 0 };

	bios(number, &r);
	return r;
}

static u8 ah(const struct regs *r)
{
	return r->a >> 8;
}

/* ---- Disks ---- */

static struct packet {
	u8 size, zero;
	u16 count, offset, segment;
	u32 lba, lba_high;
} packet;

static struct regs disk(u8 function, u8 drive, u32 lba, u16 count,
			volatile u8 *at)
{
	struct regs r = { .a = function << 8, .d = drive };

	packet = (struct packet){ 16,           0,   count, (u32)at & 15,
				  (u32)at >> 4, lba, 0 };
	r.si = (u32)&packet;
	bios(0x13, &r);
	return r;
}

static int same(volatile u8 *a, volatile u8 *b, u32 n)
{
	for (u32 i = 0; i < n; i++)
		if (a[i] != b[i])
			return 0;
	return 1;
}

static void test_disk_params(u8 drive)
{
	struct regs r = call(0x13, 0x4100, 0x55aa, 0, drive);
	u32 heads, sectors;

	check(!(r.flags & CF) && (r.b & 0xffff) == 0xaa55 && (r.c & 1),
	      "41h has packets");
	r = call(0x13, 0x0800, 0, 0, drive);
	heads = (r.d >> 8 & 0xff) + 1;
	sectors = r.c & 63;
	check(!(r.flags & CF) && !ah(&r) && (r.d & 0xff) >= 1 && sectors &&
		      heads <= 255,
	      "08h has a geometry");
	check(r.si == 0x1111 && r.bp == 0x3333, "and keeps registers");
	r = call(0x13, 0x1500, 0, 0, drive);
	check(!(r.flags & CF) && ah(&r) == 3, "15h says hard disk");
	*(volatile u16 *)BUFFER = 30;
	r = (struct regs){ .a = 0x4800, .d = drive, .si = (u32)BUFFER };
	bios(0x13, &r);
	check(!(r.flags & CF) &&
		      *(volatile u32 *)(BUFFER + 16) == SECTORS_ON_DISK &&
		      *(volatile u16 *)(BUFFER + 24) == 512,
	      "48h has size and sector");
	r = call(0x13, 0x0800, 0, 0, 0x8f);
	check(r.flags & CF, "08h of no drive fails");
	r = call(0x13, 0x0000, 0, 0, drive);
	check(!(r.flags & CF) && !ah(&r), "00h resets");
	r = call(0x13, 0x7f00, 0, 0, drive);
	check((r.flags & CF) && ah(&r) == 1, "what is not there fails");
}

static void test_disk_io(u8 drive)
{
	struct regs r = disk(0x42, drive, 0, 1, BUFFER);

	check(!(r.flags & CF) && !ah(&r) &&
		      same(BUFFER, (volatile u8 *)0x7c00, 512),
	      "42h reads");
	for (u32 i = 0; i < 1024; i++)
		BUFFER[i] = i * 7 + (i >> 8);
	r = disk(0x43, drive, 100, 2, BUFFER);
	check(!(r.flags & CF), "43h writes");
	r = disk(0x42, drive, 100, 2, COPY);
	check(!(r.flags & CF) && same(BUFFER, COPY, 1024), "and 42h reads it");
	/* Cylinder 0, head 1, sector 38 is 63 + 37 with 63 a track. */
	r = call(0x13, 0x0201, (u32)COPY, 38, 0x100 | drive);
	check(!(r.flags & CF) && same(BUFFER, COPY, 512), "02h reads it, too");
	BUFFER[0] ^= 0xff;
	r = call(0x13, 0x0301, (u32)BUFFER, 38, 0x100 | drive);
	check(!(r.flags & CF), "03h writes");
	r = disk(0x42, drive, 100, 1, COPY);
	check(!(r.flags & CF) && same(BUFFER, COPY, 512), "and 42h sees it");
	r = disk(0x44, drive, 100, 1, COPY);
	check(!(r.flags & CF), "44h verifies");
	r = disk(0x42, drive, SECTORS_ON_DISK - 1, 1, COPY);
	check(!(r.flags & CF), "42h reads the last sector");
	r = disk(0x42, drive, SECTORS_ON_DISK, 1, COPY);
	check((r.flags & CF) && ah(&r), "and none behind it");
	r = disk(0x42, 0x8f, 0, 1, COPY);
	check((r.flags & CF) && ah(&r), "nor of no drive");
	r = call(0x13, 0x0201, (u32)COPY, 0, drive);
	check(r.flags & CF, "02h of sector 0 fails");
}

/* ---- The machine ---- */

static void test_memory(void)
{
	struct regs r;
	u32 next = 0, n = 0, ram = 0;
	int first = 0;

	do {
		r = (struct regs){ .a = 0xe820,
				   .b = next,
				   .c = 20,
				   .d = 0x534d4150,
				   .di = (u32)BUFFER };
		bios(0x15, &r);
		next = r.b;
		if ((r.flags & CF) || r.a != 0x534d4150)
			break;
		if (!n)
			first = *(volatile u32 *)BUFFER == 0 &&
				*(volatile u32 *)(BUFFER + 8) >= 0x80000;
		ram += *(volatile u32 *)(BUFFER + 16) == 1;
	} while (++n < 64 && next);
	check(n > 2 && n < 64 && !next && ram >= 2, "E820 has a map that ends");
	check(first, "with conventional memory first");
	r = call(0x15, 0xe801, 0, 0, 0);
	check(!(r.flags & CF) && (r.a & 0xffff) == 0x3c00 && (r.b & 0xffff),
	      "E801 knows more than 16 MiB");
	r = call(0x15, 0x8800, 0, 0, 0);
	check(!(r.flags & CF) && (r.a & 0xffff) >= 0x3c00, "88h, too");
	r = call(0x15, 0x2401, 0, 0, 0);
	check(!(r.flags & CF) && !ah(&r), "A20 opens");
	r = call(0x15, 0x7e00, 0, 0, 0);
	check((r.flags & CF) && ah(&r) == 0x86, "15h, 7Eh is not there");
	r = call(0x12, 0, 0, 0, 0);
	check((r.a & 0xffff) == word(0x413) && word(0x413) >= 512,
	      "12h is the word at 413h");
	r = call(0x11, 0, 0, 0, 0);
	check((r.a & 0xffff) == word(0x410), "11h is the word at 410h");
}

static u8 table[48];

static void entry(u32 n, u32 base)
{
	u8 *d = table + n * 8;

	d[0] = d[1] = 0xff;
	d[2] = base;
	d[3] = base >> 8;
	d[4] = base >> 16;
	d[5] = 0x93;
	d[6] = 0;
	d[7] = base >> 24;
}

static struct regs copy(u32 from, u32 to, u16 words)
{
	struct regs r = { .a = 0x8700, .c = words, .si = (u32)table };

	entry(2, from);
	entry(3, to);
	bios(0x15, &r);
	return r;
}

static void test_copy(void)
{
	struct regs r;

	for (u32 i = 0; i < 256; i++) {
		BUFFER[i] = i ^ 0x5a;
		COPY[i] = 0;
	}
	r = copy((u32)BUFFER, 0x200000, 128);
	check(!(r.flags & CF), "87h copies up");
	r = copy(0x200000, (u32)COPY, 128);
	check(!(r.flags & CF) && same(BUFFER, COPY, 256), "and down again");
}

static u32 ticks(void)
{
	struct regs r = call(0x1a, 0, 0, 0, 0);

	return (r.c & 0xffff) << 16 | (r.d & 0xffff);
}

static void test_time(void)
{
	u32 first = ticks(), n = 0;
	struct regs r;

	while (ticks() - first < 2 && ++n < 100000000)
		;
	check(ticks() - first >= 2, "1Ah counts ticks");
	r = call(0x1a, 0x0200, 0, 0, 0);
	check(!(r.flags & CF) && (r.c >> 8 & 0xff) < 0x24 &&
		      (r.c & 0xff) < 0x60 && (r.d >> 8 & 0xff) < 0x60,
	      "1Ah has a time");
	r = call(0x1a, 0x0400, 0, 0, 0);
	check(!(r.flags & CF) && (r.c >> 8 & 0xff) >= 0x20 &&
		      (r.d & 0xff) >= 1 && (r.d & 0xff) <= 0x31,
	      "and a date");
	first = ticks();
	r = call(0x15, 0x8600, 0, 2, 0x49f0); /* 150 ms */
	/* Two, but one is lost where the host lets us wait ourselves. */
	check(!(r.flags & CF) && ticks() - first >= 1, "15h, 86h waits");
}

static struct regs pci(u32 function, u32 b, u32 c, u32 d, u32 si, u32 di)
{
	struct regs r = { 0xb100 | function, b, c, d, si, di, 0x3333, 0 };

	bios(0x1a, &r);
	return r;
}

static void test_pci(void)
{
	struct regs r = pci(1, 0, 0, 0, 0, 0), found;

	check(!(r.flags & CF) && !ah(&r) && r.d == 0x20494350 && (r.a & 1) &&
		      !(r.c & 0xff),
	      "1Ah, B101h: PCI is there");
	r = pci(2, 0, 0x1237, 0x8086, 0, 0);
	check(!(r.flags & CF) && !(r.b & 0xffff), "B102h finds the bridge");
	r = pci(2, 0, 0x1237, 0x8086, 1, 0);
	check((r.flags & CF) && ah(&r) == 0x86, "and no second one");
	r = pci(3, 0, 0x060100, 0, 0, 0);
	found = pci(9, r.b, 0xeeee5555, 0, 0, 0);
	check(!(r.flags & CF) && (found.c & 0xffff) == 0x8086,
	      "B103h finds the ISA bridge");
	check(found.c >> 16 == 0xeeee, "B109h leaves the rest of ECX");
	found = pci(8, r.b, 0, 0, 0, 0x0b);
	check((found.c & 0xff) == 0x06, "B108h reads a byte");
	found = pci(10, 0, 0, 0, 0, 0);
	check(found.c == 0x12378086, "B10Ah reads 32 bits");
	pci(11, 0, 0x20, 0, 0, 0x0d);
	found = pci(8, 0, 0, 0, 0, 0x0d);
	check(!(found.flags & CF), "B10Bh writes");
	r = pci(0x55, 0, 0, 0, 0, 0);
	check((r.flags & CF) && ah(&r) == 0x81, "no other function");
}

static void test_keys(void)
{
	struct regs r = call(0x16, 0x0100, 0, 0, 0);

	check(r.flags & ZF, "16h, 01h has no key");
	r = call(0x16, 0x0500, 0, 0x1e61, 0);
	check(!(r.a & 0xff), "05h puts one");
	r = call(0x16, 0x0100, 0, 0, 0);
	check(!(r.flags & ZF) && (r.a & 0xffff) == 0x1e61, "01h sees it");
	r = call(0x16, 0x0000, 0, 0, 0);
	check((r.a & 0xffff) == 0x1e61, "00h takes it");
	r = call(0x16, 0x1100, 0, 0, 0);
	check(r.flags & ZF, "and then it is gone");
}

static void test_screen(void)
{
	struct regs r = call(0x10, 0x0003, 0, 0, 0);

	r = call(0x10, 0x0f00, 0, 0, 0);
	check((r.a & 0xffff) == 0x5003 && !(r.b >> 8 & 0xff), "mode 3");
	check(screen(0) == 0x0720 && screen(1999) == 0x0720, "is clear");
	call(0x10, 0x0200, 0, 0, 0x0305);
	r = call(0x10, 0x0300, 0, 0, 0);
	check((r.d & 0xffff) == 0x0305, "the cursor goes where it is sent");
	call(0x10, 0x0941, 0x001e, 3, 0);
	check(screen(3 * 80 + 5) == 0x1e41 && screen(3 * 80 + 7) == 0x1e41 &&
		      screen(3 * 80 + 8) == 0x0720,
	      "09h puts three");
	r = call(0x10, 0x0300, 0, 0, 0);
	check((r.d & 0xffff) == 0x0305, "and the cursor stays");
	r = call(0x10, 0x0800, 0, 0, 0);
	check((r.a & 0xffff) == 0x1e41, "08h reads it");
	call(0x10, 0x0e42, 7, 0, 0);
	r = call(0x10, 0x0300, 0, 0, 0);
	check((screen(3 * 80 + 5) & 0xff) == 0x42 && (r.d & 0xffff) == 0x0306,
	      "0Eh goes on");
	call(0x10, 0x0601, 0x0700, 0, 0x184f);
	check((screen(2 * 80 + 5) & 0xff) == 0x42 && screen(24 * 80) == 0x0720,
	      "06h scrolls up");
	call(0x10, 0x0701, 0x0700, 0, 0x184f);
	check((screen(3 * 80 + 5) & 0xff) == 0x42, "07h down");
	call(0x10, 0x0200, 0, 0, 0x184f);
	call(0x10, 0x0e43, 7, 0, 0);
	r = call(0x10, 0x0300, 0, 0, 0);
	check((r.d & 0xffff) == 0x1800 && (screen(23 * 80 + 79) & 0xff) == 0x43,
	      "the last cell scrolls");
}

void main(u32 drive)
{
	test_disk_params(drive);
	test_disk_io(drive);
	test_memory();
	test_copy();
	test_time();
	test_pci();
	test_keys();
	test_screen();
	say(failures ? "FAILED\n" : "done\n");
	outl(0xf4, failures);
	for (;;)
		__asm__ volatile("hlt");
}
