/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * JSON values out of a byte stream, as QMP's peers send them.
 *
 * A value ends where its brackets close.  Bytes that cannot be JSON give one
 * error, and what follows is skipped up to the next bracket, comma, colon or
 * control character; 0xff therefore always brings both sides in step again.
 * Strings may stand in single quotes, as QEMU has it.
 */
#ifndef MONITOR_JSON_STREAM_H
#define MONITOR_JSON_STREAM_H

#include <jansson.h>

#include "lib/buf.h"
#include "lib/types.h"

#define JSON_STREAM_MAX       (1 * MIB) /* bytes of one value */
#define JSON_STREAM_DEPTH_MAX 1024

struct json_stream_ops {
	void (*value)(void *opaque, json_t *v); /* takes the reference */
	void (*error)(void *opaque, const char *message);
};

enum json_stream_state {
	JSON_IN_PLAIN,
	JSON_IN_WORD, /* a keyword or number */
	JSON_IN_STRING,
	JSON_IN_ESCAPE,
	JSON_IN_SKIP, /* after an error */
};

struct json_stream {
	const struct json_stream_ops *ops;
	void *opaque;
	enum json_stream_state state;
	char quote;
	int braces, brackets; /* open ones */
	struct buf text;      /* of the value so far, in strict JSON */
	size_t token;         /* where in it the current token begins */
	char keyword[32];     /* the first that is none; "" */
};

void json_stream_init(struct json_stream *s, const struct json_stream_ops *ops,
		      void *opaque);
void json_stream_fini(struct json_stream *s);
void json_stream_reset(struct json_stream *s); /* a new peer */
/* Takes one byte; may call the ops, which must not free the stream. */
void json_stream_byte(struct json_stream *s, u8 byte);

#endif
