/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Bytes to struct insn.
 *
 * An index built once from the rows leads from map, opcode and, for groups,
 * ModRM.reg to a list of rows in table order; the rest of ModRM, mandatory
 * prefix, VEX fields and mode choose among them.
 *
 * Spec: SDM 2 chapter 2, APM 3 chapter 1.
 */
#include "tcg/decode.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alloc.h"
#include "lib/bytes.h"

const struct opdesc opdescs[] = {
#define OP(m, opc, rg, md, px, nm, ops, r, w, u, at, feat, handler) \
	{                                                           \
		.name = nm,                                         \
		.operands = ops,                                    \
		.attrs = at,                                        \
		.flags_read = r,                                    \
		.flags_written = w,                                 \
		.flags_undef = u,                                   \
		.map = m,                                           \
		.opcode = opc,                                      \
		.reg = rg,                                          \
		.mod = md,                                          \
		.pfx = px,                                          \
		.feature = FEAT_##feat,                             \
	},
#define OPS OP
#define OPC OP
#include "tcg/opcodes.def"
#include "tcg/opcodes_vec.def"
#include "tcg/opcodes_x87.def"
#undef OPC
#undef OPS
#undef OP
};

const u16 opdesc_count = ARRAY_SIZE(opdescs);

#define NONE 0xffff

/* What the decoder needs of a row's operands. */
struct decode_row {
	bool byte, ysize, has_b, force_reg, rax, one;
	u8 nimm;
	char imm[2], imm_kind[2]; /* size letter, I J O A or L */
	char mem;                 /* size letter of what may be memory */
};

/* Where an opcode's rows are. */
struct decode_opcode {
	u16 list[8]; /* by ModRM.reg: where in decode_index.lists */
	bool modrm;
};

/* For all lists, and rows of an opcode; more than the tables need. */
#define DECODE_LISTS 8192
#define OPCODE_ROWS  64

static struct {
	struct decode_opcode opcodes[OP_MAP_COUNT][256];
	struct decode_row rows[ARRAY_SIZE(opdescs)];
	u16 lists[DECODE_LISTS]; /* rows; each ends with NONE */
	u32 used;
} decode_index;

static pthread_once_t decode_once = PTHREAD_ONCE_INIT;

static bool decode_is_kind(char k)
{
	return strchr("EGMRZBIJOASCDVHUWLPNQXY", k) != NULL;
}

int opdesc_operands(const struct opdesc *d, struct operand ret[OPERANDS_MAX])
{
	const char *p = d->operands;
	int n = 0;

	while (*p && n < OPERANDS_MAX) {
		size_t len = strcspn(p, ",");
		struct operand *o = &ret[n++];

		/* AL, DX, CL and ST have two capitals. */
		if (len == 2 && decode_is_kind(p[0]) &&
		    (p[1] < 'A' || p[1] > 'Z')) {
			*o = (struct operand){ p[0], p[1], NULL };
		} else {
			char size = 'n';

			if (!strncmp(p, "AL", 2) || !strncmp(p, "CL", 2))
				size = 'b';
			else if (!strncmp(p, "rAX", 3))
				size = 'v';
			else if (!strncmp(p, "eAX", 3))
				size = 'z';
			else if (!strncmp(p, "DX", 2))
				size = 'w';
			*o = (struct operand){ 'f', size, p };
		}
		p += len;
		if (*p == ',')
			p++;
	}
	return n;
}

static int decode_span(const struct opdesc *d)
{
	return d->attrs & OP_CC ? 16 : d->attrs & OP_PLUSR ? 8 : 1;
}

static void decode_index_row(u16 row)
{
	const struct opdesc *d = &opdescs[row];
	struct decode_row *r = &decode_index.rows[row];
	struct operand o[OPERANDS_MAX];
	int n = opdesc_operands(d, o);
	bool modrm = d->reg != ANY || d->mod != A;

	for (int k = 0; k < n; k++) {
		if (k == 0 && o[k].size == 'b' && !strchr("IJ", o[k].kind))
			r->byte = true;
		if (o[k].size == 'y')
			r->ysize = true;
		if (strchr("BHL", o[k].kind))
			r->has_b |= o[k].kind != 'L';
		if (strchr("CD", o[k].kind))
			r->force_reg = true;
		if (strchr("EGMRSCDVUWPNQ", o[k].kind))
			modrm = true;
		if (strchr("IJOAL", o[k].kind) && r->nimm < 2) {
			r->imm_kind[r->nimm] = o[k].kind;
			r->imm[r->nimm++] = o[k].size;
		}
		if (strchr("EMWQOXY", o[k].kind) && !r->mem)
			r->mem = o[k].size;
	}
	r->rax = !strcmp(d->operands, "Zv,rAX");
	r->one = strstr(d->operands, ",1");
	/* "Ib,AL" of OUT is about AL. */
	if (n == 2 && o[0].kind == 'I' && o[1].kind == 'f')
		r->byte = o[1].size == 'b';
	if (n == 2 && o[0].kind == 'f' && o[0].size == 'w')
		r->byte = o[1].size == 'b';
	for (int k = 0; k < decode_span(d); k++)
		decode_index.opcodes[d->map][(d->opcode + k) & 0xff].modrm |=
			modrm;
}

/* The rows of ModRM.reg `reg`, of the n in rows[]; a list that is there already
 * is shared. */
static u16 decode_list(const u16 *rows, u32 n, int reg, const u16 *others)
{
	u16 *lists = decode_index.lists, *list = &lists[decode_index.used];
	u32 len = 0;

	assert(decode_index.used + n < DECODE_LISTS);
	for (u32 k = 0; k < n; k++) {
		u8 by = opdescs[rows[k]].reg;

		if (by == ANY || (by < 8 ? by : by >> 3 & 7) == reg)
			list[len++] = rows[k];
	}
	list[len++] = NONE;
	for (int k = 0; k < reg; k++)
		if (!memcmp(&lists[others[k]], list, len * sizeof *list))
			return others[k];
	decode_index.used += len;
	return (u16)(list - lists);
}

static void decode_build(void)
{
	struct {
		u32 n;
		u16 row[OPCODE_ROWS];
	}(*rows)[256] = xcalloc(OP_MAP_COUNT * 256, sizeof **rows), *at;

	for (u16 row = 0; row < opdesc_count; row++) {
		const struct opdesc *d = &opdescs[row];

		decode_index_row(row);
		for (int k = 0; k < decode_span(d); k++) {
			at = &rows[d->map][(d->opcode + k) & 0xff];
			assert(at->n < OPCODE_ROWS);
			at->row[at->n++] = row;
		}
	}
	for (int map = 0; map < OP_MAP_COUNT; map++)
		for (int opcode = 0; opcode < 256; opcode++) {
			u16 *list = decode_index.opcodes[map][opcode].list;

			at = &rows[map][opcode];
			for (int reg = 0; reg < 8; reg++)
				list[reg] =
					decode_list(at->row, at->n, reg, list);
		}
	free(rows);
}

/* The bytes still to be read. */
struct cursor {
	const u8 *code;
	size_t at, avail; /* avail <= 15 */
	bool short_of;    /* ran out of bytes */
};

static u64 decode_bytes(struct cursor *k, size_t n)
{
	u64 v = 0;

	if (n > k->avail - k->at) {
		k->short_of = true;
		k->at = k->avail;
		return 0;
	}
	memcpy(&v, k->code + k->at, n);
	k->at += n;
	return v;
}

static s64 decode_signed(struct cursor *k, size_t n)
{
	u64 v = decode_bytes(k, n);

	switch (n) {
	case 1: return (s8)v;
	case 2: return (s16)v;
	case 4: return (s32)v;
	default: return (s64)v;
	}
}

/* What the prefixes said. */
struct prefixes {
	u8 rex;    /* W R X B in bits 3-0 */
	u8 pp;     /* 0, 0x66, 0xf3, 0xf2 */
	u8 seg;    /* enum cpu_seg or SEG_COUNT */
	bool addr; /* 67 */
	u8 map;
	u8 l;
};

static void decode_mem16(struct cursor *k, struct insn *i, u8 mod, u8 rm)
{
	static const u8 base[8] = { REG_RBX, REG_RBX, REG_RBP, REG_RBP,
				    REG_RSI, REG_RDI, REG_RBP, REG_RBX };
	static const u8 index[8] = { REG_RSI,    REG_RDI,    REG_RSI,
				     REG_RDI,    INSN_NOREG, INSN_NOREG,
				     INSN_NOREG, INSN_NOREG };

	i->base = base[rm];
	i->index = index[rm];
	if (mod == 0 && rm == 6) {
		i->base = INSN_NOREG;
		i->disp = decode_signed(k, 2);
	} else if (mod == 1) {
		i->disp = decode_signed(k, 1);
	} else if (mod == 2) {
		i->disp = decode_signed(k, 2);
	}
}

static void decode_mem(struct cursor *k, struct insn *i, u8 mod, u8 rm, u8 rex,
		       bool code64)
{
	i->base = rm | (rex & 1) << 3;
	if (rm == 4) {
		u8 sib = decode_bytes(k, 1);

		i->scale = sib >> 6;
		i->index = (sib >> 3 & 7) | (rex & 2) << 2;
		i->base = (sib & 7) | (rex & 1) << 3;
		if (i->index == 4)
			i->index = INSN_NOREG;
		if (mod == 0 && (sib & 7) == 5) {
			i->base = INSN_NOREG;
			i->disp = decode_signed(k, 4);
			return;
		}
	} else if (mod == 0 && rm == 5) {
		i->base = code64 ? INSN_RIP : INSN_NOREG;
		i->disp = decode_signed(k, 4);
		return;
	}
	if (mod == 1)
		i->disp = decode_signed(k, 1);
	else if (mod == 2)
		i->disp = decode_signed(k, 4);
}

static bool decode_vex_ok(const struct opdesc *d, const struct prefixes *p)
{
	if (d->attrs & OP_L0 && p->l)
		return false;
	return !(d->attrs & OP_L1) || p->l;
}

static bool decode_amd_refuses(const struct opdesc *d, const struct prefixes *p,
			       u32 mode, u8 modrm)
{
	return (d->attrs & OP_AMD_B0 && p->rex & 1) ||
	       (d->attrs & OP_AMD_M && modrm >= 0xc0) ||
	       (d->attrs & OP_AMD_W0 && p->rex & 8 && !(mode & MODE_CODE64));
}

/* Of a row in the list. */
static bool decode_row_matches(const struct opdesc *d, const struct prefixes *p,
			       u32 mode, u8 modrm)
{
	static const u8 pp[] = { [P66] = 0x66, [PF3] = 0xf3, [PF2] = 0xf2 };

	if (d->reg >= 0xc0 && modrm != d->reg)
		return false;
	if (d->mod == M && modrm >= 0xc0)
		return false;
	if (d->mod == R && modrm < 0xc0)
		return false;
	if (d->pfx == NF ? p->pp >= 0xf2 : d->pfx != X && p->pp != pp[d->pfx])
		return false;
	if (d->attrs & (mode & MODE_CODE64 ? OP_I64 : OP_O64))
		return false;
	if (d->attrs & OP_PROT && !(mode & MODE_PROT))
		return false;
	if (d->attrs & OP_W0 && p->rex & 8)
		return false;
	if (d->attrs & OP_W1 && !(p->rex & 8))
		return false;
	if (d->attrs & OP_B0 && p->rex & 1)
		return false;
	if (mode & MODE_AMD && decode_amd_refuses(d, p, mode, modrm))
		return false;
	return p->map < V0F || decode_vex_ok(d, p);
}

/* Prefixes, escape bytes and VEX up to the opcode. */
static int decode_head(struct cursor *k, struct prefixes *p, u32 mode,
		       struct insn *i)
{
	static const u8 segs[] = { SEG_ES, SEG_CS, SEG_SS, SEG_DS };
	bool code64 = mode & MODE_CODE64;
	u8 b;

	for (;; p->rex = 0) {
		b = decode_bytes(k, 1);
		if (code64 && (b & 0xf0) == 0x40) {
			p->rex = b;
			b = decode_bytes(k, 1);
			if ((b & 0xf0) == 0x40 && !k->short_of) {
				k->at--; /* only the last REX counts */
				continue;
			}
		}
		if (k->short_of)
			return 0;
		switch (b) {
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
			if (!code64)
				p->seg = segs[b >> 3 & 3];
			continue;
		case 0x64: p->seg = SEG_FS; continue;
		case 0x65: p->seg = SEG_GS; continue;
		case 0x66:
			i->prefix |= INSN_OPSIZE;
			if (!p->pp)
				p->pp = 0x66;
			continue;
		case 0x67: p->addr = true; continue;
		case 0xf0: i->prefix |= INSN_LOCK; continue;
		case 0xf2:
		case 0xf3:
			i->prefix &= ~(INSN_REP | INSN_REPNE);
			i->prefix |= b == 0xf3 ? INSN_REP : INSN_REPNE;
			p->pp = b;
			continue;
		}
		break;
	}
	p->map = M1;
	if (p->rex)
		i->prefix |= INSN_REX;
	if (b == 0x0f) {
		p->map = M0F;
		b = decode_bytes(k, 1);
		if (b == 0x38 || b == 0x3a) {
			p->map = b == 0x38 ? M38 : M3A;
			b = decode_bytes(k, 1);
		}
	} else if ((b & 0xfe) == 0xc4 && mode & MODE_PROT && k->at < k->avail &&
		   (code64 || k->code[k->at] >= 0xc0)) {
		static const u8 pp[] = { 0, 0x66, 0xf3, 0xf2 };
		u8 v = decode_bytes(k, 1);

		if (p->rex || p->pp || i->prefix & INSN_LOCK)
			return EXC_UD;
		p->map = V0F;
		p->rex = v & 0x80 ? 0 : 4;
		if (b == 0xc4) {
			p->rex = ~v >> 5 & 7;
			if ((v & 0x1f) < 1 || (v & 0x1f) > 3)
				return EXC_UD;
			p->map = V0F + (v & 0x1f) - 1;
			v = decode_bytes(k, 1);
			p->rex |= v >> 4 & 8;
		}
		if (!code64)
			p->rex &= 8;
		i->vvvv = ~v >> 3 & (code64 ? 15 : 7);
		p->l = v >> 2 & 1;
		p->pp = pp[v & 3];
		i->prefix |= INSN_VEX | (p->l ? INSN_VEXL : 0);
		b = decode_bytes(k, 1);
	}
	if (p->rex & 8)
		i->prefix |= INSN_REXW;
	i->opcode = b;
	return 0;
}

static void decode_opsize(struct insn *i, const struct opdesc *d,
			  const struct decode_row *r, const struct prefixes *p,
			  u32 mode)
{
	bool small = i->prefix & INSN_OPSIZE;

	i->opsize = !(mode & (MODE_CODE32 | MODE_CODE64)) == small ? 4 : 2;
	if (mode & MODE_CODE64) {
		if (p->rex & 8)
			i->opsize = 8;
		if (d->attrs & OP_D64 && i->opsize == 4)
			i->opsize = 8;
		/* Intel ignores 66 here, AMD does not. */
		if (d->attrs & OP_F64 && (!(mode & MODE_AMD) || !small))
			i->opsize = 8;
	}
	/* Outside 64-bit mode VEX.W means something only where it chooses the
	 * form. */
	if (!(mode & MODE_CODE64) && !(d->attrs & (OP_W0 | OP_W1)))
		i->prefix &= ~INSN_REXW;
	if (r->ysize)
		i->opsize = mode & MODE_CODE64 && p->rex & 8 ? 8 : 4;
	if (r->byte)
		i->opsize = 1;
}

static void decode_imm(struct cursor *k, struct insn *i,
		       const struct decode_row *r, u32 mode)
{
	for (int n = 0; n < r->nimm; n++) {
		u8 size = insn_size(i, r->imm[n]);
		s64 v;

		switch (r->imm_kind[n]) {
		case 'O':
			i->is_mem = true;
			i->base = i->index = INSN_NOREG;
			i->disp = decode_bytes(k, i->addrsize);
			continue;
		case 'A':
			i->imm = decode_bytes(k, i->opsize);
			i->sel = decode_bytes(k, 2);
			continue;
		case 'L':
			i->imm2 = decode_bytes(k, 1);
			if (!(mode & MODE_CODE64))
				i->imm2 &= 0x7f; /* eight registers */
			continue;
		}
		v = decode_signed(k, size);
		if (n == 0)
			i->imm = v;
		else
			i->imm2 = v;
	}
}

/* Byte registers as offsets into gpr[]: AH, CH, DH, BH are second bytes. */
static u8 decode_reg8(const struct insn *i, u8 reg)
{
	if (reg >= 4 && reg < 8 && !(i->prefix & (INSN_REX | INSN_VEX)))
		return (reg - 4) * 8 + 1;
	return (reg & 15) * 8;
}

static void decode_fixed(struct insn *i, const struct opdesc *d,
			 const struct decode_row *r)
{
	if (d->attrs & OP_PLUSR)
		i->reg = r->rax ? REG_RAX : i->rm;
	if (r->one)
		i->imm = 1;
}

static int decode_finish(struct insn *i, const struct opdesc *d,
			 const struct decode_row *r, const struct prefixes *p,
			 u32 mode, u16 off)
{
	if (i->prefix & INSN_LOCK) {
		if (r->force_reg && d->attrs & OP_LOCK && mode & MODE_AMD)
			i->reg |= 8; /* APM 3 "MOV CRn": CR8 for 32-bit code */
		else if (!i->is_mem || !(d->attrs & OP_LOCK))
			return EXC_UD;
	}
	if (i->prefix & INSN_VEX && !r->has_b && i->vvvv)
		return EXC_UD;
	if (d->attrs & OP_VSIB && (!i->is_mem || i->addrsize == 2))
		return EXC_UD;
	if (i->base == INSN_RIP)
		i->disp += off + i->len;
	i->flat = mode & MODE_CODE64 && i->addrsize == 8;
	i->reg8 = decode_reg8(i, i->reg);
	i->rm8 = decode_reg8(i, i->rm);
	if (d->attrs & OP_NEVER)
		return EXC_UD;
	return 0;
}

/* The SIB byte of a vector index keeps index 4. */
static void decode_vsib(struct insn *i, const struct prefixes *p)
{
	if (i->index == INSN_NOREG)
		i->index = 4;
}

static int decode_body(struct cursor *k, struct prefixes *p, u32 mode, u16 off,
		       struct insn *i)
{
	bool code64 = mode & MODE_CODE64;
	const struct decode_opcode *o =
		&decode_index.opcodes[p->map][i->opcode];
	const struct decode_row *r;
	const struct opdesc *d;
	const u16 *row;
	u8 modrm = 0;

	if (o->modrm) {
		modrm = decode_bytes(k, 1);
		if (k->short_of)
			return 0;
	}
	row = &decode_index.lists[o->list[modrm >> 3 & 7]];
	while (*row != NONE &&
	       !decode_row_matches(&opdescs[*row], p, mode, modrm))
		row++;
	if (*row == NONE)
		return EXC_UD;
	d = &opdescs[*row];
	r = &decode_index.rows[*row];
	i->row = *row;
	i->addrsize = code64 ? 8 : mode & MODE_CODE32 ? 4 : 2;
	if (p->addr)
		i->addrsize = i->addrsize == 4 ? 2 : 4;
	decode_opsize(i, d, r, p, mode);
	if (o->modrm) {
		i->reg = (modrm >> 3 & 7) | (p->rex & 4) << 1;
		i->rm = (modrm & 7) | (p->rex & 1) << 3;
		if (modrm < 0xc0 && !r->force_reg) {
			i->is_mem = true;
			if (i->addrsize == 2)
				decode_mem16(k, i, modrm >> 6, modrm & 7);
			else
				decode_mem(k, i, modrm >> 6, modrm & 7, p->rex,
					   code64);
			if (d->attrs & OP_VSIB) {
				if ((modrm & 7) != 4)
					return EXC_UD;
				decode_vsib(i, p);
			}
		}
	} else if (d->attrs & OP_PLUSR) {
		i->rm = (i->opcode & 7) | (p->rex & 1) << 3;
	}
	decode_fixed(i, d, r);
	i->seg = p->seg;
	if (p->seg == SEG_COUNT)
		i->seg = i->is_mem && (i->base == REG_RSP || i->base == REG_RBP)
				 ? SEG_SS
				 : SEG_DS;
	decode_imm(k, i, r, mode);
	return 0;
}

int insn_decode(u32 mode_key, const u8 *code, size_t avail, u16 off,
		struct insn *ret)
{
	struct cursor k = { code, 0, MIN(avail, 15), false };
	struct prefixes p = { .seg = SEG_COUNT };
	insn_fn *fn = ret->fn;
	struct insn *i = ret;
	int r;

	pthread_once(&decode_once, decode_build);
	memset(i, 0, sizeof *i);
	i->fn = fn;
	i->off = off;
	i->base = i->index = INSN_NOREG;
	r = decode_head(&k, &p, mode_key, i);
	if (!r && !k.short_of)
		r = decode_body(&k, &p, mode_key, off, i);
	if (k.short_of)
		return avail >= 15 ? EXC_GP : -1;
	i->len = k.at;
	if (r)
		return r;
	return decode_finish(i, &opdescs[i->row], &decode_index.rows[i->row],
			     &p, mode_key, off);
}

u32 insn_size(const struct insn *i, char size)
{
	switch (size) {
	case 'b': return 1;
	case 'w': return 2;
	case 'd': return 4;
	case 'q': return 8;
	case 'v': return i->opsize;
	case 'm': return i->is_mem ? 2 : i->opsize;
	case 'z': return MIN(i->opsize, 4);
	case 'y': return i->prefix & INSN_REXW ? 8 : 4;
	case 'p': return i->opsize + 2;
	case 's': return 10;
	case 't': return 10;
	case 'o': return 16;
	case 'h': return 32;
	case 'x': return i->prefix & INSN_VEXL ? 32 : 16;
	default: return 0;
	}
}

u32 insn_mem_size(const struct insn *i)
{
	return insn_size(i, decode_index.rows[i->row].mem);
}
