/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * JSON values out of a byte stream.
 *
 * Only tokens are told apart here; jansson parses a value once its brackets
 * are closed.
 */
#include "monitor/json_stream.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static void json_stream_drop(struct json_stream *s)
{
	buf_clear(&s->text);
	s->braces = s->brackets = 0;
	s->token = 0;
	s->keyword[0] = '\0';
	if (s->text.cap > 64 * KIB)
		buf_fini(&s->text);
}

static void json_stream_fail(struct json_stream *s, const char *what,
			     const char *token)
{
	struct buf b = { 0 };

	buf_printf(&b, "%s", what);
	if (token) /* what is not UTF-8 is replaced when it is printed */
		buf_printf(&b, " '%.64s'", token);
	json_stream_drop(s);
	s->ops->error(s->opaque, buf_str(&b));
	buf_fini(&b);
}

static void json_stream_stray(struct json_stream *s, u8 byte)
{
	struct buf token = { 0 };

	buf_puts(&token, buf_str(&s->text) + MIN(s->token, s->text.len));
	buf_putc(&token, (char)byte);
	s->state = JSON_IN_SKIP;
	json_stream_fail(s, "JSON parse error, stray", buf_str(&token));
	buf_fini(&token);
}

static void json_stream_refuse(struct json_stream *s, const json_error_t *e)
{
	char what[sizeof e->text + 32], keyword[sizeof s->keyword];

	if (s->keyword[0]) {
		memcpy(keyword, s->keyword, sizeof keyword);
		json_stream_fail(s, "JSON parse error, invalid keyword",
				 keyword);
	} else if (json_error_code(e) == json_error_duplicate_key) {
		json_stream_fail(s, "JSON parse error, duplicate key", NULL);
	} else if (json_error_code(e) == json_error_invalid_syntax) {
		json_stream_fail(s, "JSON parse error, expecting value", NULL);
	} else {
		snprintf(what, sizeof what, "JSON parse error, %s", e->text);
		json_stream_fail(s, what, NULL);
	}
}

static void json_stream_parse(struct json_stream *s)
{
	json_error_t e;
	json_t *v = json_loadb(buf_str(&s->text), s->text.len,
			       JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);

	if (v) {
		json_stream_drop(s);
		s->ops->value(s->opaque, v);
	} else {
		json_stream_refuse(s, &e);
	}
}

/* A token was added: is the value complete? */
static void json_stream_token(struct json_stream *s)
{
	s->state = JSON_IN_PLAIN;
	s->token = s->text.len;
	if (s->braces > 0 || s->brackets > 0)
		if (s->braces >= 0 && s->brackets >= 0)
			return;
	json_stream_parse(s);
}

static void json_stream_word_ends(struct json_stream *s)
{
	const char *word = buf_str(&s->text) + s->token;

	if (!s->keyword[0] && isalpha((unsigned char)*word) &&
	    strcmp(word, "true") && strcmp(word, "false") &&
	    strcmp(word, "null"))
		snprintf(s->keyword, sizeof s->keyword, "%s", word);
	json_stream_token(s);
}

static bool json_stream_bracket(struct json_stream *s, u8 c)
{
	switch (c) {
	case '{': s->braces++; break;
	case '}': s->braces--; break;
	case '[': s->brackets++; break;
	case ']': s->brackets--; break;
	case ':':
	case ',': break;
	default: return false;
	}
	s->token = s->text.len;
	buf_putc(&s->text, (char)c);
	if (s->braces + s->brackets > JSON_STREAM_DEPTH_MAX) {
		s->state = JSON_IN_PLAIN;
		json_stream_fail(s, "JSON nesting depth limit exceeded", NULL);
	} else {
		json_stream_token(s);
	}
	return true;
}

static void json_stream_plain(struct json_stream *s, u8 c)
{
	if (json_stream_bracket(s, c))
		return;
	s->token = s->text.len;
	if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
		if (s->text.len && s->text.data[s->text.len - 1] != ' ')
			buf_putc(&s->text, ' ');
		return;
	}
	if (c == '"' || c == '\'') {
		s->quote = (char)c;
		s->state = JSON_IN_STRING;
		buf_putc(&s->text, '"');
	} else if (isalnum(c) || c == '-') {
		s->state = JSON_IN_WORD;
		buf_putc(&s->text, (char)c);
	} else {
		json_stream_stray(s, c);
	}
}

static void json_stream_string(struct json_stream *s, u8 c)
{
	if (c < 0x20 || c >= 0xfe) {
		json_stream_stray(s, c);
	} else if (c == (u8)s->quote) {
		buf_putc(&s->text, '"');
		json_stream_token(s);
	} else if (c == '\\') {
		s->state = JSON_IN_ESCAPE;
	} else {
		if (c == '"') /* within single quotes */
			buf_putc(&s->text, '\\');
		buf_putc(&s->text, (char)c);
	}
}

static void json_stream_escape(struct json_stream *s, u8 c)
{
	if (c < 0x20 || c >= 0xfe) {
		json_stream_stray(s, c);
		return;
	}
	if (c != '\'') /* an escape of QEMU's only */
		buf_putc(&s->text, '\\');
	buf_putc(&s->text, (char)c);
	s->state = JSON_IN_STRING;
}

/* True when the byte was the last that is skipped. */
static void json_stream_skip(struct json_stream *s, u8 c)
{
	if (json_stream_bracket(s, c))
		return;
	if ((c < 0x20 && c != '\t') || c >= 0xfe)
		s->state = JSON_IN_PLAIN;
}

void json_stream_byte(struct json_stream *s, u8 c)
{
	if (s->state == JSON_IN_WORD) {
		if (isalnum(c) || (c && strchr("+-.", c))) {
			buf_putc(&s->text, (char)c);
		} else {
			json_stream_word_ends(s);
			json_stream_plain(s, c);
		}
	} else if (s->state == JSON_IN_STRING) {
		json_stream_string(s, c);
	} else if (s->state == JSON_IN_ESCAPE) {
		json_stream_escape(s, c);
	} else if (s->state == JSON_IN_SKIP) {
		json_stream_skip(s, c);
	} else {
		json_stream_plain(s, c);
	}
	if (s->text.len > JSON_STREAM_MAX) {
		s->state = JSON_IN_SKIP;
		json_stream_fail(s, "JSON token size limit exceeded", NULL);
	}
}

void json_stream_init(struct json_stream *s, const struct json_stream_ops *ops,
		      void *opaque)
{
	memset(s, 0, sizeof *s);
	s->ops = ops;
	s->opaque = opaque;
}

void json_stream_reset(struct json_stream *s)
{
	json_stream_drop(s);
	s->state = JSON_IN_PLAIN;
}

void json_stream_fini(struct json_stream *s)
{
	buf_fini(&s->text);
}
