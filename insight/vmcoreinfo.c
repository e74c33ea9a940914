/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * VMCOREINFO: found by its first line at the start of a page.
 */
#include "insight/vmcoreinfo.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/memory.h"

static const char vmcoreinfo_magic[] = "OSRELEASE=";

/* The text up to the first byte that is none. */
static size_t vmcoreinfo_len(const char *text, size_t size)
{
	size_t n = 0;

	while (n < size && (isprint((unsigned char)text[n]) || text[n] == '\n'))
		n++;
	return n;
}

static bool vmcoreinfo_load(struct memory *mem, gpa_t gpa,
			    struct vmcoreinfo *ret)
{
	if (mem_read(mem, gpa, ret->text, PAGE_SIZE) < 0)
		return false;
	ret->gpa = gpa;
	ret->len = vmcoreinfo_len(ret->text, PAGE_SIZE);
	ret->text[ret->len] = '\0';
	/* The note's copy of it is not aligned; other text has no such key. */
	return !strncmp(ret->text, vmcoreinfo_magic,
			sizeof vmcoreinfo_magic - 1) &&
	       strstr(ret->text, "\nSYMBOL(_stext)=");
}

static bool vmcoreinfo_in_block(struct memory *mem, const struct ram_block *b,
				gpa_t *at, struct vmcoreinfo *ret)
{
	u64 offset = *at - b->base, end;

	while (mem_next_data(b, offset, &offset, &end)) {
		for (; offset < end; offset += PAGE_SIZE) {
			if (memcmp(b->host + offset, vmcoreinfo_magic,
				   sizeof vmcoreinfo_magic - 1) ||
			    !vmcoreinfo_load(mem, b->base + offset, ret))
				continue;
			*at = b->base + offset + PAGE_SIZE;
			return true;
		}
	}
	return false;
}

bool vmcoreinfo_find(struct memory *mem, gpa_t *at, struct vmcoreinfo *ret)
{
	int n = atomic_load(&mem->nram);

	for (;;) {
		const struct ram_block *next = NULL;

		for (int i = 0; i < n; i++) {
			const struct ram_block *b = &mem->ram[i];

			if (b->base + b->size - 1 >= *at && !b->readonly &&
			    (!next || b->base < next->base))
				next = b;
		}
		if (!next)
			return false;
		*at = MAX(*at, next->base);
		if (vmcoreinfo_in_block(mem, next, at, ret))
			return true;
		*at = next->base + next->size;
	}
}

bool vmcoreinfo_same(const struct vmcoreinfo *v, struct memory *mem)
{
	char now[PAGE_SIZE];

	return !mem_read(mem, v->gpa, now, v->len) &&
	       !memcmp(now, v->text, v->len);
}

bool vmcoreinfo_text(const struct vmcoreinfo *v, const char *key, char *ret,
		     size_t size)
{
	size_t n = strlen(key), len;

	for (const char *p = v->text; *p;) {
		len = strcspn(p, "\n");
		if (len > n && p[n] == '=' && !memcmp(p, key, n)) {
			len -= n + 1;
			if (len >= size)
				return false;
			memcpy(ret, p + n + 1, len);
			ret[len] = '\0';
			return true;
		}
		p += len + (p[len] == '\n');
	}
	return false;
}

bool vmcoreinfo_hex(const struct vmcoreinfo *v, const char *key, u64 *ret)
{
	char text[24], *end;

	if (!vmcoreinfo_text(v, key, text, sizeof text))
		return false;
	*ret = strtoull(text, &end, 16);
	return end != text && !*end;
}

bool vmcoreinfo_number(const struct vmcoreinfo *v, const char *key, s64 *ret)
{
	char text[24], *end;

	if (!vmcoreinfo_text(v, key, text, sizeof text))
		return false;
	*ret = strtoll(text, &end, 10);
	return end != text && !*end;
}
