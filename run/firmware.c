/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon run`: OVMF for images that have only a UEFI boot loader.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/err.h"
#include "run/inspect.h"
#include "run/internal.h"

const char *run_ovmf(void)
{
	static const char *const paths[] = { "/usr/share/ovmf/OVMF.fd",
					     "/usr/share/OVMF/OVMF.fd",
					     "/usr/share/edk2/x64/OVMF.4m.fd",
					     "/usr/share/qemu/OVMF.fd" };
	const char *own = getenv("VMON_OVMF");

	if (own)
		return access(own, R_OK) == 0 ? own : NULL;
	for (size_t n = 0; n < ARRAY_SIZE(paths); n++)
		if (access(paths[n], R_OK) == 0)
			return paths[n];
	return NULL;
}

/* Options of vmon's that say what boots. */
static bool firmware_given(const struct run *r)
{
	static const char *const names[] = { "bios", "pflash", "kernel" };

	for (int n = 0; n < r->more_count; n++) {
		const char *word = r->more[n];

		for (size_t k = 0; word[0] == '-' && k < ARRAY_SIZE(names); k++)
			if (!strcmp(word + 1 + (word[1] == '-'), names[k]))
				return true;
		if (strstr(word, "if=pflash"))
			return true;
	}
	return false;
}

/* An overlay that is there may boot otherwise than the image below it. */
int run_plan_firmware(struct run *r, struct err *err)
{
	const struct run_disk *d = &r->overlay;
	bool own = d->path && !d->create;
	const char *path = own ? d->path : r->own_image;
	bool uefi;
	json_t *v;

	if (firmware_given(r))
		return 0;
	v = inspect(path, own ? "qcow2" : r->backing_files ? d->format : NULL,
		    NULL);
	uefi = v && inspect_is_uefi_only(v);
	r->user = v ? inspect_user(v) : NULL;
	json_decref(v);
	if (!uefi)
		return 0; /* what boots, or does not, will be seen */
	if (!run_ovmf())
		return err_set(err, -ENOENT,
			       "'%s' has only a UEFI boot loader; install the "
			       "package ovmf, or give -- -bios OVMF.fd",
			       path);
	r->bios = run_ovmf();
	return 0;
}
