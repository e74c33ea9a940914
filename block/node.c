/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * From a file name to a stack of nodes.
 *
 * An image whose format was only guessed may be one that a guest wrote into
 * a raw disk; it names no other files unless the command line allows it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "block/internal.h"
#include "lib/alloc.h"
#include "lib/err.h"

#define NODE_DEPTH 64 /* images on top of each other */

int node_rw(struct block_node *n, enum block_op op, struct iovec *iov, int niov,
	    u64 offset, u64 bytes)
{
	struct block_req r = {
		.op = op,
		.iov = iov,
		.niov = niov,
		.offset = offset,
		.bytes = bytes,
	};

	return n->drv->execute(n, &r);
}

/* ---- Formats ---- */

static bool node_is_raw(const char *format)
{
	return !strcmp(format, "raw") || !strcmp(format, "host_device") ||
	       !strcmp(format, "file");
}

int node_check_format(const char *format, struct err *err)
{
	if (!format || node_is_raw(format) || !strcmp(format, "qcow2"))
		return 0;
	return err_set(err, -ENOTSUP,
		       "format '%s' is not supported; convert the image with "
		       "'qemu-img convert -O raw'",
		       format);
}

static int node_guess(struct block_node *file, struct block_open *o,
		      struct err *err)
{
	u8 *header = xalloc(BLOCK_HEADER_BYTES);
	int r = file_read_header(file, header);

	if (r < 0) {
		free(header);
		return err_code(err, r, "could not read '%s'", o->path);
	}
	o->format = probe_format(header);
	if (!o->format) {
		o->format = "raw";
		o->header = header;
		return 0;
	}
	free(header);
	if (!node_check_format(o->format, NULL)) {
		if (o->follow == BLOCK_FOLLOW_AUTO)
			o->follow = BLOCK_FOLLOW_OFF;
		return 0;
	}
	return err_set(err, -ENOTSUP,
		       "'%s' has format '%s', which is not supported; "
		       "convert it with 'qemu-img convert -O raw', or say "
		       "format=raw to use it as it is",
		       o->path, o->format);
}

/* ---- Chains ---- */

/* Before it is opened: the locks would only say that it is in use. */
static int node_check_chain(const struct block_open *o, struct err *err)
{
	struct stat st;
	int depth = 0;

	if (!o->above || stat(o->path, &st) < 0)
		return 0;
	for (const struct block_open *up = o->above; up; up = up->above) {
		if (up->dev == st.st_dev && up->ino == st.st_ino)
			return err_set(err, -ELOOP,
				       "'%s' is a backing file of itself",
				       o->path);
		if (++depth >= NODE_DEPTH)
			return err_set(err, -ELOOP,
				       "'%s': more than %d images on top of "
				       "each other",
				       o->path, NODE_DEPTH);
	}
	return 0;
}

struct block_node *node_open(struct block *b, struct block_open *o,
			     struct err *err)
{
	struct block_node *file;

	if (node_check_chain(o, err) < 0)
		return NULL;
	o->grows = !o->format || !node_is_raw(o->format);
	file = file_open(b, o, err);
	if (!file)
		return NULL;
	file_identity(file, &o->dev, &o->ino);
	if (!o->format && node_guess(file, o, err) < 0) {
		node_close(file);
		return NULL;
	}
	if (!node_is_raw(o->format))
		return qcow2_open(b, file, o, err);
	file_set_grows(file, false);
	return file;
}
