/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How far a guest has come, by what its console says.
 */
#include "run/stage.h"

#include <string.h>

#include "lib/clock.h"

static const char *const stage_names[] = {

#define STAGE(id, name) name,
#include "run/stages.def"
};

static const struct {
	enum stage stage;
	const char *text;
} stage_texts[] = {

#define STAGE_TEXT(id, text) { STAGE_##id, text },
#include "run/stages.def"
};

static const struct {
	int status;
	const char *text, *meaning;
} stage_stuck[] = {

#define STAGE_STUCK(status, text, meaning) { status, text, meaning },
#include "run/stages.def"
};

const char *stage_name(enum stage s)
{
	return stage_names[s];
}

static bool stage_line_has(const struct stage_watch *w, enum stage stage,
			   const char *text)
{
	if (stage == STAGE_LOGIN && strstr(w->line, "Last login: "))
		return false;
	if (stage == STAGE_CLOUD_INIT)
		return strstr(w->line, "Cloud-init v. ") &&
		       strstr(w->line, text);
	return strstr(w->line, text);
}

static void stage_look(struct stage_watch *w)
{
	w->line[w->len] = '\0';
	for (size_t n = 0; n < ARRAY_SIZE(stage_texts); n++) {
		enum stage s = stage_texts[n].stage;

		if (!stage_line_has(w, s, stage_texts[n].text))
			continue;
		if (w->stuck && s <= STAGE_KERNEL)
			w->stuck = 0; /* it has begun anew */
		if (!w->seen_ns[s])
			w->seen_ns[s] = clock_mono_ns();
		break;
	}
	for (size_t n = 0; n < ARRAY_SIZE(stage_stuck) && !w->stuck; n++)
		if (strstr(w->line, stage_stuck[n].text)) {
			w->stuck = stage_stuck[n].status;
			w->why = stage_stuck[n].meaning;
		}
	if (w->text && !w->found)
		w->found = regexec(w->text, w->line, 0, NULL, 0) == 0;
}

void stage_feed(struct stage_watch *w, const char *data, size_t len)
{
	for (size_t n = 0; n < len; n++) {
		if (data[n] == '\n' || w->len == STAGE_LINE_MAX) {
			stage_look(w);
			w->len = 0;
		}
		if (data[n] && data[n] != '\n' && data[n] != '\r')
			w->line[w->len++] = data[n];
	}
	if (w->len)
		stage_look(w); /* a prompt */
}

enum stage stage_now(const struct stage_watch *w)
{
	enum stage now = STAGE_FIRMWARE;

	for (int s = 0; s < STAGE_COUNT; s++)
		if (w->seen_ns[s])
			now = (enum stage)s;
	return now;
}
