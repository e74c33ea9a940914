/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * SMBIOS tables of a virtual machine, with the strings that the user gave.
 *
 * A structure is its formatted area, then its strings, each ended by NUL,
 * then one more NUL.  String fields hold the number of the string, from 1.
 *
 * Spec: DMTF DSP0134 3.0; structure offsets are those of its tables.
 * Locking: see devices/smbios.h.
 */
#include "devices/smbios.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/fw_cfg.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/err.h"
#include "lib/opt.h"
#include "lib/parse.h"
#include "vmm/machine.h"
#include "vmm/memory.h"

#define SMBIOS_MAJOR 2
#define SMBIOS_MINOR 8

#define ANCHOR_BYTES  31
#define ANCHOR3_BYTES 24

#define HANDLE_BIOS    0x0000
#define HANDLE_SYSTEM  0x0100
#define HANDLE_BOARD   0x0200
#define HANDLE_CHASSIS 0x0300
#define HANDLE_CPU     0x0400
#define HANDLE_OEM     0x0e00
#define HANDLE_ARRAY   0x1000
#define HANDLE_DIMM    0x1100
#define HANDLE_MAPPED  0x1300
#define HANDLE_BOOT    0x2000
#define HANDLE_END     0x7f00

#define HANDLE_NONE 0xfffe

#define DIMM_BYTES (16 * GIB)

enum smbios_string {
	BIOS_VENDOR,
	BIOS_VERSION,
	BIOS_DATE,
	BIOS_RELEASE,
	BIOS_UEFI,
	SYSTEM_MANUFACTURER,
	SYSTEM_PRODUCT,
	SYSTEM_VERSION,
	SYSTEM_SERIAL,
	SYSTEM_UUID,
	SYSTEM_SKU,
	SYSTEM_FAMILY,
	BOARD_MANUFACTURER,
	BOARD_PRODUCT,
	BOARD_VERSION,
	BOARD_SERIAL,
	BOARD_ASSET,
	BOARD_LOCATION,
	CHASSIS_MANUFACTURER,
	CHASSIS_VERSION,
	CHASSIS_SERIAL,
	CHASSIS_ASSET,
	CHASSIS_SKU,
	CPU_SOCKET,
	CPU_MANUFACTURER,
	CPU_VERSION,
	CPU_SERIAL,
	CPU_ASSET,
	CPU_PART,
	CPU_MAX_SPEED,
	CPU_SPEED,
	DIMM_LOCATOR,
	DIMM_BANK,
	DIMM_MANUFACTURER,
	DIMM_SERIAL,
	DIMM_ASSET,
	DIMM_PART,
	DIMM_SPEED,
	SMBIOS_STRINGS
};

/* What -smbios accepts, and the defaults (NULL: no string). */
static const struct smbios_key {
	u8 type;
	const char *key;
	enum smbios_string string;
	const char *def;
} smbios_keys[] = {
	{ 0, "vendor", BIOS_VENDOR, "vmon" },
	{ 0, "version", BIOS_VERSION, VMON_VERSION },
	{ 0, "date", BIOS_DATE, "01/01/2026" },
	{ 0, "release", BIOS_RELEASE, "0.0" },
	{ 0, "uefi", BIOS_UEFI, "off" },
	{ 1, "manufacturer", SYSTEM_MANUFACTURER, "vmon" },
	{ 1, "product", SYSTEM_PRODUCT, "Standard PC" },
	{ 1, "version", SYSTEM_VERSION, VMON_VERSION },
	{ 1, "serial", SYSTEM_SERIAL, NULL },
	{ 1, "uuid", SYSTEM_UUID, NULL },
	{ 1, "sku", SYSTEM_SKU, NULL },
	{ 1, "family", SYSTEM_FAMILY, NULL },
	{ 2, "manufacturer", BOARD_MANUFACTURER, NULL },
	{ 2, "product", BOARD_PRODUCT, NULL },
	{ 2, "version", BOARD_VERSION, NULL },
	{ 2, "serial", BOARD_SERIAL, NULL },
	{ 2, "asset", BOARD_ASSET, NULL },
	{ 2, "location", BOARD_LOCATION, NULL },
	{ 3, "manufacturer", CHASSIS_MANUFACTURER, "vmon" },
	{ 3, "version", CHASSIS_VERSION, VMON_VERSION },
	{ 3, "serial", CHASSIS_SERIAL, NULL },
	{ 3, "asset", CHASSIS_ASSET, NULL },
	{ 3, "sku", CHASSIS_SKU, NULL },
	{ 4, "sock_pfx", CPU_SOCKET, "CPU" },
	{ 4, "manufacturer", CPU_MANUFACTURER, "vmon" },
	{ 4, "version", CPU_VERSION, VMON_VERSION },
	{ 4, "serial", CPU_SERIAL, NULL },
	{ 4, "asset", CPU_ASSET, NULL },
	{ 4, "part", CPU_PART, NULL },
	{ 4, "max-speed", CPU_MAX_SPEED, "2000" },
	{ 4, "current-speed", CPU_SPEED, "2000" },
	{ 17, "loc_pfx", DIMM_LOCATOR, "DIMM" },
	{ 17, "bank", DIMM_BANK, NULL },
	{ 17, "manufacturer", DIMM_MANUFACTURER, "vmon" },
	{ 17, "serial", DIMM_SERIAL, NULL },
	{ 17, "asset", DIMM_ASSET, NULL },
	{ 17, "part", DIMM_PART, NULL },
	{ 17, "speed", DIMM_SPEED, "0" },
};

#define OEM_STRINGS_MAX 255
#define OEM_STRING_MAX  (32 * KIB)

struct smbios {
	char *string[SMBIOS_STRINGS]; /* owned */
	u8 uuid[16];
	bool uuid_set;
	bool board;                 /* type 2 only when it was named */
	char *oem[OEM_STRINGS_MAX]; /* owned */
	int noem;
};

struct smbios *smbios_create(void)
{
	struct smbios *s = xalloc(sizeof *s);

	for (u32 i = 0; i < ARRAY_SIZE(smbios_keys); i++)
		s->string[smbios_keys[i].string] = xstrdup(smbios_keys[i].def);
	return s;
}

void smbios_destroy(struct smbios *s)
{
	if (!s)
		return;
	for (int i = 0; i < SMBIOS_STRINGS; i++)
		free(s->string[i]);
	for (int i = 0; i < s->noem; i++)
		free(s->oem[i]);
	free(s);
}

/* ---- Options ---- */

static int smbios_add_oem(struct smbios *s, const char *text, struct err *err)
{
	if (s->noem >= OEM_STRINGS_MAX)
		return err_set(err, -ENOSPC, "at most %d SMBIOS OEM strings",
			       OEM_STRINGS_MAX);
	if (!text[0] || strlen(text) > OEM_STRING_MAX)
		return err_set(err, -EINVAL,
			       "SMBIOS OEM string is empty or too long");
	s->oem[s->noem++] = xstrdup(text);
	return 0;
}

static int smbios_add_oem_file(struct smbios *s, const char *path,
			       struct err *err)
{
	char *text = xalloc(OEM_STRING_MAX + 2);
	FILE *f = fopen(path, "rb");
	size_t n;
	int r;

	if (!f) {
		free(text);
		return err_errno(err, "cannot open '%s'", path);
	}
	n = fread(text, 1, OEM_STRING_MAX + 1, f);
	fclose(f);
	if (memchr(text, 0, n))
		r = err_set(err, -EINVAL, "NUL in OEM strings value in %s",
			    path);
	else
		r = smbios_add_oem(s, text, err);
	free(text);
	return r;
}

/* type=11: every value= and path=, in order. */
static int smbios_take_oem(struct smbios *s, struct opts *o, struct err *err)
{
	struct opt *opt;
	int r = 0;

	list_for_each (opt, &o->list, node) {
		if (!strcmp(opt->key, "value"))
			r = smbios_add_oem(s, opt->value, err);
		else if (!strcmp(opt->key, "path"))
			r = smbios_add_oem_file(s, opt->value, err);
		else
			continue;
		if (r < 0)
			return r;
		opt->used = true;
	}
	return 0;
}

/* Strings that stand for numbers. */
static int smbios_check_string(struct smbios *s, enum smbios_string string,
			       const char *value, struct err *err)
{
	unsigned major, minor;
	bool on;
	u64 n;

	switch (string) {
	case SYSTEM_UUID:
		if (parse_uuid(value, s->uuid) < 0)
			return err_set(err, -EINVAL, "Invalid UUID '%s'",
				       value);
		s->uuid_set = true;
		return 0;
	case BIOS_RELEASE:
		if (sscanf(value, "%u.%u", &major, &minor) != 2 ||
		    major > 255 || minor > 255)
			return err_set(err, -EINVAL,
				       "Invalid release '%s': not N.N", value);
		return 0;
	case BIOS_UEFI:
		return parse_bool(value, &on) < 0
			       ? err_set(err, -EINVAL,
					 "uefi='%s' is neither on nor off",
					 value)
			       : 0;
	case CPU_MAX_SPEED:
	case CPU_SPEED:
	case DIMM_SPEED:
		return parse_u64(value, &n) < 0 || n > 0xffff
			       ? err_set(err, -EINVAL,
					 "speed '%s' is not 0 to 65535", value)
			       : 0;
	default: return 0;
	}
}

static int smbios_take_strings(struct smbios *s, u8 type, struct opts *o,
			       struct err *err)
{
	for (u32 i = 0; i < ARRAY_SIZE(smbios_keys); i++) {
		const struct smbios_key *k = &smbios_keys[i];
		const char *value;
		int r;

		if (k->type != type)
			continue;
		value = opts_take(o, k->key);
		if (!value)
			continue;
		if (strlen(value) > 1024)
			return err_set(err, -EINVAL, "'%s' is too long",
				       k->key);
		r = smbios_check_string(s, k->string, value, err);
		if (r < 0)
			return r;
		free(s->string[k->string]);
		s->string[k->string] = xstrdup(value);
	}
	return 0;
}

int smbios_add_option(struct smbios *s, const char *text, struct err *err)
{
	const char *type_text;
	struct opts o;
	u64 type;
	int r = opts_parse(&o, text, NULL, err);

	if (r < 0)
		return r;
	type_text = opts_take(&o, "type");
	if (!type_text || parse_u64(type_text, &type) < 0)
		r = err_set(err, -EINVAL, "-smbios needs type=N");
	else if (type == 11)
		r = smbios_take_oem(s, &o, err);
	else if (type > 4 && type != 17)
		r = err_set(err, -EINVAL,
			    "SMBIOS type %s cannot be set; accepted: "
			    "0, 1, 2, 3, 4, 11, 17",
			    type_text);
	else
		r = smbios_take_strings(s, type, &o, err);
	if (r == 0 && type == 2)
		s->board = true;
	if (r == 0)
		r = opts_check_used(&o, NULL, err);
	opts_fini(&o);
	return r;
}

/* ---- Structures ---- */

struct smbios_writer {
	struct buf *out;
	size_t start; /* of the current structure */
	u8 strings;   /* in it so far */
	struct buf text;
	int count;
	u32 max;
};

/* Starts a structure whose formatted area has `len` bytes. */
static void smbios_begin(struct smbios_writer *w, u8 type, u16 handle, u8 len)
{
	u8 area[64] = { type, len };

	put_le16(area + 2, handle);
	w->start = w->out->len;
	w->strings = 0;
	buf_clear(&w->text);
	buf_append(w->out, area, len);
}

static u8 *smbios_at(struct smbios_writer *w, u32 offset)
{
	return (u8 *)w->out->data + w->start + offset;
}

static void smbios_put_string(struct smbios_writer *w, u32 offset,
			      const char *text)
{
	if (!text || !text[0])
		return;
	buf_append(&w->text, text, strlen(text) + 1);
	*smbios_at(w, offset) = ++w->strings;
}

static void smbios_end(struct smbios_writer *w)
{
	if (!w->strings)
		buf_putc(w->out, 0);
	buf_append(w->out, w->text.data, w->text.len);
	buf_putc(w->out, 0);
	w->count++;
	w->max = MAX(w->max, (u32)(w->out->len - w->start));
}

static u16 smbios_number(const struct smbios *s, enum smbios_string string)
{
	u64 n = 0;

	if (parse_u64(s->string[string], &n) < 0)
		return 0;
	return n;
}

static void smbios_bios(const struct smbios *s, struct smbios_writer *w)
{
	unsigned major = 0, minor = 0;
	bool uefi = false;

	if (sscanf(s->string[BIOS_RELEASE], "%u.%u", &major, &minor) != 2)
		major = minor = 0;
	(void)parse_bool(s->string[BIOS_UEFI], &uefi);
	smbios_begin(w, 0, HANDLE_BIOS, 24);
	smbios_put_string(w, 4, s->string[BIOS_VENDOR]);
	smbios_put_string(w, 5, s->string[BIOS_VERSION]);
	put_le16(smbios_at(w, 6), 0xe800);
	smbios_put_string(w, 8, s->string[BIOS_DATE]);
	put_le64(smbios_at(w, 10), BIT(3)); /* characteristics: not told */
	/* Virtual machine, targeted content distribution. */
	*smbios_at(w, 19) = 0x14 | (uefi ? 0x08 : 0);
	*smbios_at(w, 20) = major;
	*smbios_at(w, 21) = minor;
	*smbios_at(w, 22) = *smbios_at(w, 23) = 0xff; /* no controller */
	smbios_end(w);
}

/* The first three fields of a UUID are little-endian here. */
static void smbios_put_uuid(u8 *at, const u8 uuid[16])
{
	put_le32(at, get_be32(uuid));
	put_le16(at + 4, get_be16(uuid + 4));
	put_le16(at + 6, get_be16(uuid + 6));
	memcpy(at + 8, uuid + 8, 8);
}

static void smbios_system(const struct smbios *s, struct machine *m,
			  struct smbios_writer *w)
{
	smbios_begin(w, 1, HANDLE_SYSTEM, 27);
	smbios_put_string(w, 4, s->string[SYSTEM_MANUFACTURER]);
	smbios_put_string(w, 5, s->string[SYSTEM_PRODUCT]);
	smbios_put_string(w, 6, s->string[SYSTEM_VERSION]);
	smbios_put_string(w, 7, s->string[SYSTEM_SERIAL]);
	if (s->uuid_set)
		smbios_put_uuid(smbios_at(w, 8), s->uuid);
	else if (m->uuid_set)
		smbios_put_uuid(smbios_at(w, 8), m->uuid);
	*smbios_at(w, 24) = 6; /* woken by the power switch */
	smbios_put_string(w, 25, s->string[SYSTEM_SKU]);
	smbios_put_string(w, 26, s->string[SYSTEM_FAMILY]);
	smbios_end(w);
}

static void smbios_board(const struct smbios *s, struct smbios_writer *w)
{
	smbios_begin(w, 2, HANDLE_BOARD, 15);
	smbios_put_string(w, 4, s->string[BOARD_MANUFACTURER]);
	smbios_put_string(w, 5, s->string[BOARD_PRODUCT]);
	smbios_put_string(w, 6, s->string[BOARD_VERSION]);
	smbios_put_string(w, 7, s->string[BOARD_SERIAL]);
	smbios_put_string(w, 8, s->string[BOARD_ASSET]);
	*smbios_at(w, 9) = 0x01; /* hosting board */
	smbios_put_string(w, 10, s->string[BOARD_LOCATION]);
	put_le16(smbios_at(w, 11), HANDLE_CHASSIS);
	*smbios_at(w, 13) = 0x0a; /* motherboard */
	smbios_end(w);
}

static void smbios_chassis(const struct smbios *s, struct smbios_writer *w)
{
	smbios_begin(w, 3, HANDLE_CHASSIS, 22);
	smbios_put_string(w, 4, s->string[CHASSIS_MANUFACTURER]);
	*smbios_at(w, 5) = 0x01; /* other */
	smbios_put_string(w, 6, s->string[CHASSIS_VERSION]);
	smbios_put_string(w, 7, s->string[CHASSIS_SERIAL]);
	smbios_put_string(w, 8, s->string[CHASSIS_ASSET]);
	*smbios_at(w, 9) = 0x03; /* states: safe */
	*smbios_at(w, 10) = 0x03;
	*smbios_at(w, 11) = 0x03;
	*smbios_at(w, 12) = 0x02; /* security: unknown */
	smbios_put_string(w, 21, s->string[CHASSIS_SKU]);
	smbios_end(w);
}

static void smbios_processor(const struct smbios *s, struct machine *m, int n,
			     struct smbios_writer *w)
{
	int sockets = MAX(m->topo.sockets, 1);
	int threads = MAX(m->topo.cpus / sockets, 1);
	int cores = MAX(threads / MAX(m->topo.threads, 1), 1);
	char name[1100];

	snprintf(name, sizeof name, "%s %d", s->string[CPU_SOCKET], n);
	smbios_begin(w, 4, HANDLE_CPU + n, 48);
	smbios_put_string(w, 4, name);
	*smbios_at(w, 5) = 0x03; /* central processor */
	*smbios_at(w, 6) = 0x01; /* family: other */
	smbios_put_string(w, 7, s->string[CPU_MANUFACTURER]);
	smbios_put_string(w, 16, s->string[CPU_VERSION]);
	put_le16(smbios_at(w, 20), smbios_number(s, CPU_MAX_SPEED));
	put_le16(smbios_at(w, 22), smbios_number(s, CPU_SPEED));
	*smbios_at(w, 24) = 0x41;           /* populated, enabled */
	*smbios_at(w, 25) = 0x01;           /* upgrade: other */
	put_le16(smbios_at(w, 26), 0xffff); /* no cache structures */
	put_le16(smbios_at(w, 28), 0xffff);
	put_le16(smbios_at(w, 30), 0xffff);
	smbios_put_string(w, 32, s->string[CPU_SERIAL]);
	smbios_put_string(w, 33, s->string[CPU_ASSET]);
	smbios_put_string(w, 34, s->string[CPU_PART]);
	*smbios_at(w, 35) = *smbios_at(w, 36) = MIN(cores, 255);
	*smbios_at(w, 37) = MIN(threads, 255);
	put_le16(smbios_at(w, 38), 0x0002); /* characteristics unknown */
	put_le16(smbios_at(w, 40), 0x0001); /* family: other */
	put_le16(smbios_at(w, 42), cores);
	put_le16(smbios_at(w, 44), cores);
	put_le16(smbios_at(w, 46), threads);
	smbios_end(w);
}

static void smbios_oem(const struct smbios *s, struct smbios_writer *w)
{
	smbios_begin(w, 11, HANDLE_OEM, 5);
	for (int i = 0; i < s->noem; i++)
		smbios_put_string(w, 4, s->oem[i]); /* ends as their number */
	smbios_end(w);
}

static int smbios_dimms(const struct machine *m)
{
	return MAX((m->ram_size + DIMM_BYTES - 1) / DIMM_BYTES, 1);
}

static void smbios_memory_array(struct machine *m, struct smbios_writer *w)
{
	u64 kib = m->ram_size / KIB;

	smbios_begin(w, 16, HANDLE_ARRAY, 23);
	*smbios_at(w, 4) = 0x01; /* location: other */
	*smbios_at(w, 5) = 0x03; /* system memory */
	*smbios_at(w, 6) = 0x06; /* multi-bit ECC */
	if (kib < 0x80000000u) {
		put_le32(smbios_at(w, 7), kib);
	} else {
		put_le32(smbios_at(w, 7), 0x80000000u);
		put_le64(smbios_at(w, 15), m->ram_size);
	}
	put_le16(smbios_at(w, 11), HANDLE_NONE);
	put_le16(smbios_at(w, 13), smbios_dimms(m));
	smbios_end(w);
}

static void smbios_dimm(const struct smbios *s, struct machine *m, int n,
			struct smbios_writer *w)
{
	u64 left = m->ram_size - n * DIMM_BYTES;
	u32 mib = MIN(left, DIMM_BYTES) / MIB;
	char name[1100];

	snprintf(name, sizeof name, "%s %d", s->string[DIMM_LOCATOR], n);
	smbios_begin(w, 17, HANDLE_DIMM + n, 40);
	put_le16(smbios_at(w, 4), HANDLE_ARRAY);
	put_le16(smbios_at(w, 6), HANDLE_NONE);
	put_le16(smbios_at(w, 8), 0xffff); /* widths unknown */
	put_le16(smbios_at(w, 10), 0xffff);
	put_le16(smbios_at(w, 12), mib);
	*smbios_at(w, 14) = 0x09; /* DIMM */
	smbios_put_string(w, 16, name);
	smbios_put_string(w, 17, s->string[DIMM_BANK]);
	*smbios_at(w, 18) = 0x07;           /* RAM */
	put_le16(smbios_at(w, 19), 0x0002); /* other */
	put_le16(smbios_at(w, 21), smbios_number(s, DIMM_SPEED));
	smbios_put_string(w, 23, s->string[DIMM_MANUFACTURER]);
	smbios_put_string(w, 24, s->string[DIMM_SERIAL]);
	smbios_put_string(w, 25, s->string[DIMM_ASSET]);
	smbios_put_string(w, 26, s->string[DIMM_PART]);
	put_le16(smbios_at(w, 32), smbios_number(s, DIMM_SPEED));
	smbios_end(w);
}

static void smbios_mapped(int n, u64 base, u64 size, struct smbios_writer *w)
{
	u64 last = base + size - 1;

	smbios_begin(w, 19, HANDLE_MAPPED + n, 31);
	if (last / KIB < 0xffffffffu) {
		put_le32(smbios_at(w, 4), base / KIB);
		put_le32(smbios_at(w, 8), last / KIB);
	} else {
		put_le32(smbios_at(w, 4), 0xffffffffu);
		put_le32(smbios_at(w, 8), 0xffffffffu);
		put_le64(smbios_at(w, 15), base);
		put_le64(smbios_at(w, 23), last);
	}
	put_le16(smbios_at(w, 12), HANDLE_ARRAY);
	*smbios_at(w, 14) = 1;
	smbios_end(w);
}

void smbios_build(const struct smbios *s, struct machine *m, struct buf *out,
		  int *ret_count, u32 *ret_max)
{
	struct smbios_writer w = { .out = out };

	smbios_bios(s, &w);
	smbios_system(s, m, &w);
	if (s->board)
		smbios_board(s, &w);
	smbios_chassis(s, &w);
	for (int i = 0; i < MAX(m->topo.sockets, 1); i++)
		smbios_processor(s, m, i, &w);
	if (s->noem)
		smbios_oem(s, &w);
	smbios_memory_array(m, &w);
	for (int i = 0; i < smbios_dimms(m); i++)
		smbios_dimm(s, m, i, &w);
	smbios_mapped(0, 0, m->ram_below_4g, &w);
	if (m->ram_above_4g)
		smbios_mapped(1, 4 * GIB, m->ram_above_4g, &w);
	smbios_begin(&w, 32, HANDLE_BOOT, 11); /* no boot error */
	smbios_end(&w);
	smbios_begin(&w, 127, HANDLE_END, 4);
	smbios_end(&w);
	buf_fini(&w.text);
	*ret_count = w.count;
	*ret_max = w.max;
}

/* ---- Entry points ---- */

static u8 smbios_checksum(const u8 *p, u32 len)
{
	u8 sum = 0;

	while (len--)
		sum += *p++;
	return -sum;
}

static void smbios_anchor(u8 a[ANCHOR_BYTES], u32 base, u32 len, int count,
			  u32 max)
{
	memset(a, 0, ANCHOR_BYTES);
	memcpy(a, "_SM_", 4);
	a[5] = ANCHOR_BYTES;
	a[6] = SMBIOS_MAJOR;
	a[7] = SMBIOS_MINOR;
	put_le16(a + 8, MIN(max, 0xffff));
	memcpy(a + 16, "_DMI_", 5);
	put_le16(a + 22, len);
	put_le32(a + 24, base);
	put_le16(a + 28, count);
	a[30] = SMBIOS_MAJOR << 4 | SMBIOS_MINOR;
	a[21] = smbios_checksum(a + 16, 15);
	a[4] = smbios_checksum(a, ANCHOR_BYTES);
}

static void smbios_anchor3(u8 a[ANCHOR3_BYTES], u32 base, u32 len)
{
	memset(a, 0, ANCHOR3_BYTES);
	memcpy(a, "_SM3_", 5);
	a[6] = ANCHOR3_BYTES;
	a[7] = 3;
	a[10] = 1; /* entry point revision */
	put_le32(a + 12, len);
	put_le64(a + 16, base);
	a[5] = smbios_checksum(a, ANCHOR3_BYTES);
}

int smbios_place(const struct smbios *s, struct machine *m, struct err *err)
{
	u32 at3 = SMBIOS_BASE + 32, base = SMBIOS_BASE + 64, max;
	u8 anchor[ANCHOR_BYTES], anchor3[ANCHOR3_BYTES];
	struct buf table = { 0 };
	int count, r;

	smbios_build(s, m, &table, &count, &max);
	if (table.len > SMBIOS_END - base) {
		r = err_set(err, -ENOSPC, "SMBIOS tables of %zu bytes",
			    table.len);
		goto out;
	}
	smbios_anchor(anchor, base, table.len, count, max);
	smbios_anchor3(anchor3, base, table.len);
	r = mem_load(&m->mem, SMBIOS_BASE, anchor, sizeof anchor);
	if (r == 0)
		r = mem_load(&m->mem, at3, anchor3, sizeof anchor3);
	if (r == 0)
		r = mem_load(&m->mem, base, table.data, table.len);
	if (r < 0)
		err_code(err, r, "no RAM at 0x%x for SMBIOS tables", base);
out:
	buf_fini(&table);
	return r;
}

int smbios_add_files(const struct smbios *s, struct machine *m, struct err *err)
{
	u8 anchor[ANCHOR_BYTES];
	struct buf table = { 0 };
	int count, r;
	u32 max;

	smbios_build(s, m, &table, &count, &max);
	if (table.len > 0xffff) {
		r = err_set(err, -ENOSPC, "SMBIOS tables of %zu bytes",
			    table.len);
		goto out;
	}
	smbios_anchor(anchor, 0, table.len, count, max);
	r = fw_cfg_add_file(m->fw_cfg, "etc/smbios/smbios-anchor", anchor,
			    sizeof anchor, err);
	if (r == 0)
		r = fw_cfg_add_file(m->fw_cfg, "etc/smbios/smbios-tables",
				    table.data, table.len, err);
out:
	buf_fini(&table);
	return r;
}
