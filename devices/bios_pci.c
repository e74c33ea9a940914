/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * INT 1Ah, function B1h: PCI, for loaders with drivers of their own.
 *
 * Spec: PCI BIOS 2.1.
 */
#include "devices/bios.h"
#include "devices/pci.h"
#include "vmm/machine.h"

#define PCI_MARK      0x20494350u /* "PCI " */
#define PCI_MECHANISM 0x01        /* ports CF8h and CFCh */
#define PCI_VERSION   0x0210

#define PCI_NO_FUNCTION 0x81
#define PCI_BAD_VENDOR  0x83
#define PCI_NOT_FOUND   0x86
#define PCI_BAD_REG     0x87

static void pci_answer(struct bios_frame *f, u8 status)
{
	bios_set_ah(f, status);
	bios_carry(f, status);
}

static void pci_present(struct bios_frame *f)
{
	f->edx = PCI_MARK;
	f->eax = (f->eax & ~0xffu) | PCI_MECHANISM;
	bios_set16(&f->ebx, PCI_VERSION);
	f->ecx &= ~0xffu; /* the last bus */
	pci_answer(f, 0);
}

/* The device number SI of those whose register has these bits. */
static void pci_find(struct pci_bus *bus, struct bios_frame *f, u32 reg,
		     u32 shift, u32 want)
{
	u16 left = (u16)f->esi;

	for (u32 devfn = 0; devfn < 256; devfn++) {
		if ((u16)pci_config_read(bus, (u8)devfn, 0, 2) == 0xffff ||
		    pci_config_read(bus, (u8)devfn, reg, 4) >> shift != want)
			continue;
		if (left--)
			continue;
		bios_set16(&f->ebx, (u16)devfn);
		pci_answer(f, 0);
		return;
	}
	pci_answer(f, PCI_NOT_FOUND);
}

/* AL: 8, 9, A read a byte, a word, 32 bits; B, C, D write them. */
static void pci_access(struct pci_bus *bus, struct bios_frame *f)
{
	u8 function = f->eax & 0xff, devfn = f->ebx & 0xff;
	bool write = function >= 0x0b;
	u32 len = 1u << (write ? function - 0x0b : function - 0x08);
	u32 reg = f->edi & 0xffff, value;
	u32 mask = len == 4 ? UINT32_MAX : (1u << len * 8) - 1;
	bool here = !(f->ebx & 0xff00);

	if (reg > 256 - len || reg % len) {
		pci_answer(f, PCI_BAD_REG);
		return;
	}
	if (write && here)
		pci_config_write(bus, devfn, reg, len, f->ecx & mask);
	if (!write) {
		value = here ? pci_config_read(bus, devfn, reg, len) : mask;
		f->ecx = (f->ecx & ~mask) | (value & mask);
	}
	pci_answer(f, 0);
}

bool bios_pci(struct bios *s, struct bios_frame *f)
{
	struct pci_bus *bus = s->dev.m->pci;

	switch (f->eax & 0xff) {
	case 0x01: pci_present(f); break;
	case 0x02:
		if ((f->edx & 0xffff) == 0xffff)
			pci_answer(f, PCI_BAD_VENDOR);
		else
			pci_find(bus, f, 0, 0,
				 (f->ecx & 0xffff) << 16 | (f->edx & 0xffff));
		break;
	case 0x03: pci_find(bus, f, 8, 8, f->ecx & 0xffffff); break;
	case 0x08:
	case 0x09:
	case 0x0a:
	case 0x0b:
	case 0x0c:
	case 0x0d: pci_access(bus, f); break;
	default: pci_answer(f, PCI_NO_FUNCTION); break;
	}
	return true;
}
