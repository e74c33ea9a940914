/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon run --set-credential`, `--load-credential`: what systemd 252 and later
 * finds among the OEM strings of SMBIOS.
 *
 * Spec: systemd.io, "System and Service Credentials".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/opt.h"
#include "run/internal.h"

#define CREDENTIAL_MAX 32768 /* bytes of a file: SMBIOS' tables have 64 KiB */

/* "NAME:..." as systemd has it; the rest, or NULL. */
static const char *credential_split(const char *option, const char *text,
				    struct err *err)
{
	const char *colon = strchr(text, ':');

	if (colon && colon > text &&
	    (size_t)(colon - text) == strcspn(text, "/=:"))
		return colon + 1;
	err_set(err, -EINVAL, "--%s '%s' is not ID:%s", option, text,
		option[0] == 's' ? "TEXT" : "FILE");
	return NULL;
}

static void credential_add(struct run *r, char *value)
{
	struct opts o;

	opts_init(&o);
	opts_add(&o, "type", "11");
	opts_add(&o, "value", value);
	run_add_option(r, "-smbios", run_format(&o));
	free(value);
}

static int credential_set(struct run *r, const char *text, struct err *err)
{
	const char *value = credential_split("set-credential", text, err);

	if (!value)
		return err->code;
	credential_add(r, xprintf("io.systemd.credential:%.*s=%s",
				  (int)(value - 1 - text), text, value));
	return 0;
}

static void credential_encode(struct buf *out, const u8 *data, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t n = 0; n < len; n += 3) {
		u32 bits = (u32)data[n] << 16;

		if (n + 1 < len)
			bits |= (u32)data[n + 1] << 8;
		if (n + 2 < len)
			bits |= data[n + 2];
		buf_putc(out, digits[bits >> 18]);
		buf_putc(out, digits[bits >> 12 & 63]);
		buf_putc(out, n + 1 < len ? digits[bits >> 6 & 63] : '=');
		buf_putc(out, n + 2 < len ? digits[bits & 63] : '=');
	}
}

static int credential_load(struct run *r, const char *text, struct err *err)
{
	static u8 data[CREDENTIAL_MAX + 1];
	const char *path = credential_split("load-credential", text, err);
	struct buf out = { 0 };
	size_t len = 0;
	ssize_t n = -1;
	int fd;

	if (!path)
		return err->code;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	while (fd >= 0 && (n = read(fd, data + len, sizeof data - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		err_errno(err, "--load-credential: could not read '%s'", path);
	else if (len > CREDENTIAL_MAX)
		err_set(err, -EFBIG,
			"--load-credential: '%s' has more than %d bytes", path,
			CREDENTIAL_MAX);
	if (fd >= 0)
		close(fd);
	if (err->code)
		return err->code;
	buf_printf(&out, "io.systemd.credential.binary:%.*s=",
		   (int)(path - 1 - text), text);
	credential_encode(&out, data, len);
	credential_add(r, buf_steal(&out));
	return 0;
}

int run_add_credentials(struct run *r, struct err *err)
{
	int result = 0;

	for (int n = 0; result == 0 && r->set_credential[n]; n++)
		result = credential_set(r, r->set_credential[n], err);
	for (int n = 0; result == 0 && r->load_credential[n]; n++)
		result = credential_load(r, r->load_credential[n], err);
	return result;
}
