/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The telnet protocol on a byte stream.
 *
 * We echo, suppress go-ahead and are binary both ways, so that the client
 * passes every key at once.  A client that answers to that is asked for the
 * size of its window; one that does not speak telnet sees QEMU's bytes and no
 * more.  Other options are refused; only offers and requests are answered, so
 * two sides can never answer each other for ever.
 */
#include "chardev/telnet.h"

#define TELNET_SE   240
#define TELNET_BRK  243
#define TELNET_SB   250
#define TELNET_WILL 251
#define TELNET_WONT 252
#define TELNET_DO   253
#define TELNET_DONT 254

#define TELNET_BINARY 0
#define TELNET_ECHO   1
#define TELNET_SGA    3
#define TELNET_NAWS   31

#define TELNET_REPLY_MAX 4096 /* answers that a peer may leave unread */

enum telnet_state {
	TELNET_DATA,
	TELNET_COMMAND, /* after IAC */
	TELNET_OPTION,  /* after IAC WILL and its kind */
	TELNET_SUB,     /* in a subnegotiation */
	TELNET_SUB_IAC, /* IAC within it */
};

void telnet_start(struct telnet *t)
{
	static const u8 hello[] = {
		TELNET_IAC,    TELNET_WILL, TELNET_ECHO, TELNET_IAC,
		TELNET_WILL,   TELNET_SGA,  TELNET_IAC,  TELNET_WILL,
		TELNET_BINARY, TELNET_IAC,  TELNET_DO,   TELNET_BINARY,
	};

	t->state = TELNET_DATA;
	t->after_cr = false;
	t->binary = t->asked = false;
	t->columns = t->rows = 0;
	buf_clear(&t->reply);
	buf_append(&t->reply, hello, sizeof(hello));
}

void telnet_fini(struct telnet *t)
{
	buf_fini(&t->reply);
}

static void telnet_answer(struct telnet *t, u8 verb, u8 option)
{
	u8 answer[] = { TELNET_IAC, verb, option };

	if (t->reply.len < TELNET_REPLY_MAX)
		buf_append(&t->reply, answer, sizeof(answer));
}

static void telnet_option(struct telnet *t, u8 option)
{
	bool ours = option == TELNET_BINARY || option == TELNET_ECHO ||
		    option == TELNET_SGA;

	if (!t->asked) {
		t->asked = true;
		telnet_answer(t, TELNET_DO, TELNET_NAWS);
	}
	if (t->verb == TELNET_WILL && option == TELNET_BINARY)
		t->binary = true;
	else if (t->verb == TELNET_WONT && option == TELNET_BINARY)
		t->binary = false;
	else if (t->verb == TELNET_WILL && option != TELNET_NAWS)
		telnet_answer(t, TELNET_DONT, option);
	else if (t->verb == TELNET_DO && !ours)
		telnet_answer(t, TELNET_WONT, option);
}

static void telnet_sub_byte(struct telnet *t, u8 c)
{
	if (t->sub_len < sizeof t->sub)
		t->sub[t->sub_len] = c;
	t->sub_len = MIN(t->sub_len + 1, (u32)sizeof t->sub + 1);
}

static void telnet_sub_end(struct telnet *t)
{
	const u8 *s = t->sub;

	if (t->sub_len != sizeof t->sub || s[0] != TELNET_NAWS)
		return;
	t->columns = s[1] << 8 | s[2];
	t->rows = s[3] << 8 | s[4];
}

/* One byte after IAC; true when it stands for data. */
static bool telnet_command(struct telnet *t, u8 c, u32 *breaks)
{
	t->state = TELNET_DATA;
	switch (c) {
	case TELNET_IAC: t->after_cr = false; return true;
	case TELNET_WILL:
	case TELNET_WONT:
	case TELNET_DO:
	case TELNET_DONT:
		t->verb = c;
		t->state = TELNET_OPTION;
		break;
	case TELNET_SB:
		t->state = TELNET_SUB;
		t->sub_len = 0;
		break;
	case TELNET_BRK: ++*breaks; break;
	default: /* NOP, AYT, IP and others mean nothing here */ break;
	}
	return false;
}

/* True when `c` is data for the front end. */
static bool telnet_byte(struct telnet *t, u8 c, u32 *breaks)
{
	bool padding = c == 0 && t->after_cr && !t->binary;

	switch (t->state) {
	case TELNET_DATA:
		if (c == TELNET_IAC) {
			t->state = TELNET_COMMAND;
			return false;
		}
		t->after_cr = c == '\r';
		return !padding;
	case TELNET_COMMAND: return telnet_command(t, c, breaks);
	case TELNET_OPTION:
		t->state = TELNET_DATA;
		telnet_option(t, c);
		return false;
	case TELNET_SUB:
		if (c == TELNET_IAC)
			t->state = TELNET_SUB_IAC;
		else
			telnet_sub_byte(t, c);
		return false;
	default:
		t->state = c == TELNET_SE ? TELNET_DATA : TELNET_SUB;
		if (c == TELNET_SE)
			telnet_sub_end(t);
		else
			telnet_sub_byte(t, c); /* a doubled IAC */
		return false;
	}
}

size_t telnet_input(struct telnet *t, u8 *data, size_t len, u32 *breaks)
{
	size_t kept = 0;

	*breaks = 0;
	for (size_t i = 0; i < len; i++)
		if (telnet_byte(t, data[i], breaks))
			data[kept++] = data[i];
	return kept;
}
