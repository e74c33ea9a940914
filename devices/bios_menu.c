/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The boot menu: offers itself for a while, then lists the drives and waits
 * for a number.
 */
#include "devices/bios.h"

#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "vmm/machine.h"
#include "vmm/vtimer.h"

#define KEY_ESC  0x1b
#define MENU_MAX 9

static void menu_list(struct bios *s)
{
	char text[BIOS_REASON_MAX];

	bios_say(s, "");
	bios_say(s, "Select boot device:");
	for (int i = 0; i < MIN(s->ndrives, MENU_MAX); i++) {
		const struct bios_drive *d = &s->drive[i];
		const char *id =
			bios_drive(s, d->number) ? d->block->id : "(gone)";

		snprintf(text, sizeof text, "%d. %s %.100s", i + 1,
			 d->heads ? "disk" : "CD  ", id);
		bios_say(s, text);
	}
}

static void menu_choose(struct bios *s, int chosen)
{
	struct bios_drive d = s->drive[chosen];

	memmove(&s->drive[1], &s->drive[0],
		(size_t)chosen * sizeof s->drive[0]);
	d.priority = 0; /* strict=on does not mean this one */
	s->drive[0] = d;
}

bool bios_menu(struct bios *s, u8 key)
{
	u64 now = vclock_now(s->dev.m);

	if (!s->menu || s->ndrives < 2)
		return true;
	switch (s->menu_state) {
	case MENU_START:
		bios_say(s, "Press ESC for boot menu.");
		s->menu_until = now + s->menu_ms * NS_PER_MS;
		s->menu_state = MENU_OFFER;
		return false;
	case MENU_OFFER:
		if (key == KEY_ESC) {
			menu_list(s);
			s->menu_state = MENU_LIST;
		} else if (now >= s->menu_until) {
			s->menu_state = MENU_OVER;
		}
		return s->menu_state == MENU_OVER;
	case MENU_LIST:
		if (key >= '1' && key < '1' + MIN(s->ndrives, MENU_MAX)) {
			menu_choose(s, key - '1');
			s->menu_state = MENU_OVER;
		} else if (key == KEY_ESC) {
			s->menu_state = MENU_OVER;
		}
		return s->menu_state == MENU_OVER;
	default: return true;
	}
}
