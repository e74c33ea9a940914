/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * QMP sessions: bytes to requests, requests to handlers, answers and events
 * out.
 *
 * Requests run one after the other.  A session looks at no more input while
 * output waits for its peer or QMP_QUEUE_MAX requests wait for one that goes
 * on in the background; with "oob" negotiated, "exec-oob" requests overtake
 * those.  An answer is sent by a posted call, so that the events of a request
 * to the main loop (a reset, the end) come before it, as in QEMU.
 *
 * Events to a peer that does not read are dropped once QMP_EVENTS_MAX bytes
 * wait, and the log says so.
 *
 * Spec: QEMU's docs/interop/qmp-spec.txt.
 */
#include "monitor/qmp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chardev/chardev.h"
#include "lib/alloc.h"
#include "lib/err.h"
#include "lib/log.h"
#include "monitor/audit.h"
#include "monitor/door.h"
#include "monitor/json_stream.h"
#include "vmm/machine.h"

#define QMP_INPUT_MAX  4096
#define QMP_QUEUE_MAX  8
#define QMP_EVENTS_MAX (1 * MIB)

struct qmp {
	struct machine *m;
	struct chardev *chr;
	struct list node;
	struct monitor *mon; /* what handlers see; owned */
	bool pretty;

	struct json_stream json;
	u8 in[QMP_INPUT_MAX];
	size_t in_len;
	bool pumping;
	struct buf out;

	bool open;       /* a peer is there */
	bool negotiated; /* it said qmp_capabilities */
	bool oob;        /* and enabled this */
	bool dropped;    /* an event, since the peer came */

	struct list requests; /* waiting; the first may be running */
	int nrequests;
	bool busy;  /* the first has not been answered */
	bool ended; /* "quit" */
};

struct qmp_request {
	struct list node;
	json_t *id; /* owned; NULL */
	json_t *args;
	const struct qmp_command *command;
	json_t *result; /* owned; until it is sent */
	bool stale;     /* its peer is gone */
};

static struct list qmps = LIST_INIT(qmps);

static void qmp_go_on(struct qmp *q);
static void qmp_next(struct qmp *q);

/* ---- output ---- */

static void qmp_flush(struct qmp *q)
{
	size_t n;

	if (!q->open)
		buf_clear(&q->out);
	if (!q->out.len)
		return;
	n = chr_write(q->chr, q->out.data, q->out.len);
	buf_consume(&q->out, MIN(n, q->out.len));
}

/* Takes the reference. */
static void qmp_emit(struct qmp *q, json_t *v)
{
	size_t flags = JSON_PRESERVE_ORDER | JSON_ENSURE_ASCII;
	char *text = json_dumps(v, flags | (q->pretty ? JSON_INDENT(4) : 0));

	json_decref(v);
	if (text && q->open) {
		buf_puts(&q->out, text);
		buf_puts(&q->out, "\r\n");
	}
	free(text);
}

static json_t *qmp_error(const char *class, const char *text)
{
	return json_pack("{s{ss so}}", "error", "class", class, "desc",
			 val_string(text));
}

void qmp_broadcast(json_t *e)
{
	struct qmp *q;

	list_for_each (q, &qmps, node) {
		if (!q->negotiated)
			continue;
		if (q->out.len > QMP_EVENTS_MAX) {
			if (!q->dropped)
				log_warn("QMP client on '%s' does not read: "
					 "events are dropped",
					 chr_label(q->chr));
			q->dropped = true;
			continue;
		}
		qmp_emit(q, json_incref(e));
		qmp_flush(q);
	}
}

/* ---- answers ---- */

static void qmp_request_free(struct qmp_request *r)
{
	list_remove(&r->node);
	json_decref(r->id);
	json_decref(r->args);
	json_decref(r->result);
	free(r);
}

static void qmp_audit(struct qmp *q, const char *name, const json_t *args,
		      const json_t *reply)
{
	const json_t *error = json_object_get(reply, "error");
	char *text, *line;

	if (!audit_on())
		return;
	text = args ? json_dumps(args, JSON_PRESERVE_ORDER) : NULL;
	line = xprintf("%s%s%s", name, text ? " " : "", text ? text : "");
	audit_command(q->chr, "qmp", line,
		      error ? val_str(error, "desc") : "ok");
	free(line);
	free(text);
}

static void qmp_answer(struct qmp *q, struct qmp_request *r)
{
	qmp_audit(q, r->command->name, r->args, r->result);
	if (!r->stale) {
		if (r->id)
			json_object_set(r->result, "id", r->id);
		qmp_emit(q, json_incref(r->result));
		qmp_flush(q);
	}
	q->nrequests--;
	qmp_request_free(r);
}

static struct qmp_request *qmp_first(struct qmp *q)
{
	return list_first(&q->requests, struct qmp_request, node);
}

/* NULL: it was freed while a call was posted, at the end. */
static struct qmp *qmp_alive(void *arg)
{
	struct qmp *q;

	list_for_each (q, &qmps, node)
		if (q == arg)
			return q;
	return NULL;
}

/* From the main loop: what the request asked of it is done. */
static void qmp_posted(void *arg)
{
	struct qmp *q = qmp_alive(arg);
	struct qmp_request *r = q ? qmp_first(q) : NULL;

	if (!r || !r->result)
		return;
	q->busy = false;
	qmp_answer(q, r);
	qmp_next(q);
	qmp_go_on(q);
	if (!q->open)
		mon_reap_later(q->m, q->chr);
}

static void qmp_finish(struct qmp *q, struct qmp_request *r, json_t *result)
{
	r->result = result;
	loop_post(q->m->loop, qmp_posted, q);
}

static json_t *qmp_failure(const struct qmp_command *c, const struct err *err)
{
	return qmp_error(err->code == -ENODEV ? c->not_found : "GenericError",
			 err->msg);
}

/* A handler said what is wrong in its text, not in its error. */
static void qmp_take_text(struct monitor *mon, struct err *err, int code)
{
	const char *text = buf_str(&mon->out);

	if (!err->msg[0])
		err_set(err, code, "%.*s", (int)strcspn(text, "\r\n"), text);
}

/* ---- running ---- */

static json_t *qmp_success(struct qmp *q)
{
	json_t *v = q->mon->result;

	q->mon->result = NULL;
	return json_pack("{so}", "return", v ? v : json_object());
}

static void qmp_resumed(void *opaque, const struct err *err)
{
	struct qmp *q = opaque;
	struct qmp_request *r = qmp_first(q);

	if (err && err->msg[0])
		qmp_finish(q, r, qmp_failure(r->command, err));
	else
		qmp_finish(q, r, qmp_success(q));
}

static json_t *qmp_call(struct qmp *q, const struct qmp_command *c,
			struct args *a)
{
	struct err err = { 0 };
	json_t *v;
	int r;

	mon_detached_begin(q->mon);
	if (c->query) {
		v = c->query(q->mon, a, &err);
		if (v)
			return json_pack("{so}", "return", c->shape(q->mon, v));
		qmp_take_text(q->mon, &err, -EINVAL);
		return qmp_failure(c, &err);
	}
	r = c->run(q->mon, a, &err);
	if (r < 0) {
		qmp_take_text(q->mon, &err, r);
		return qmp_failure(c, &err);
	}
	return q->mon->busy ? NULL : qmp_success(q);
}

/* The answer, or NULL when it comes later. */
static json_t *qmp_execute(struct qmp *q, const struct qmp_command *c,
			   const json_t *args)
{
	struct args a = { .n = 0 };
	struct err err = { 0 };
	json_t *v;

	if (args_from_json(&a, c->types, args, &err) < 0)
		v = qmp_error("GenericError", err.msg);
	else
		v = qmp_call(q, c, &a);
	args_fini(&a);
	return v;
}

/* Starts the first request, unless it runs. */
static void qmp_next(struct qmp *q)
{
	struct qmp_request *r = qmp_first(q);
	json_t *v;

	if (!r || q->busy || q->ended)
		return;
	q->busy = true;
	v = qmp_execute(q, r->command, r->args);
	q->ended = q->mon->quitting;
	if (v)
		qmp_finish(q, r, v);
}

/* ---- requests ---- */

static const struct qmp_command *qmp_find(const char *name)
{
	for (const struct qmp_command *c = qmp_table; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

/* Checks the members; returns the value of the one that names the command. */
static const char *qmp_check(const json_t *v, bool *oob, struct err *err)
{
	const json_t *name = NULL, *args = json_object_get(v, "arguments");
	const char *key;
	json_t *value;

	*oob = json_object_get(v, "exec-oob") != NULL;
	json_object_foreach((json_t *)v, key, value)
	{
		if (!strcmp(key, "execute") || !strcmp(key, "exec-oob")) {
			if (name) {
				err_set(err, -EINVAL,
					"QMP input member 'execute' clashes "
					"with 'exec-oob'");
				return NULL;
			}
			name = value;
			if (!json_is_string(value)) {
				err_set(err, -EINVAL,
					"QMP input member '%s' must be a "
					"string",
					key);
				return NULL;
			}
		} else if (strcmp(key, "arguments") && strcmp(key, "id")) {
			err_set(err, -EINVAL,
				"QMP input member '%.200s' is unexpected", key);
			return NULL;
		}
	}
	if (args && !json_is_object(args))
		err_set(err, -EINVAL,
			"QMP input member 'arguments' must be an object");
	else if (!name)
		err_set(err, -EINVAL, "QMP input lacks member 'execute'");
	else
		return json_string_value(name);
	return NULL;
}

static bool qmp_is_negotiation(const char *name)
{
	return !strcmp(name, "qmp_capabilities");
}

static json_t *qmp_negotiate(struct qmp *q, const json_t *args)
{
	const json_t *list = json_object_get(args, "enable");
	const char *key;
	bool oob = false;
	json_t *value;
	size_t i;

	json_object_foreach((json_t *)args, key, value)
	{
		struct err err = { 0 };

		if (!strcmp(key, "enable") && json_is_array(value))
			continue;
		if (!strcmp(key, "enable"))
			err_set(&err, -EINVAL,
				"Invalid parameter type for 'enable', "
				"expected: array");
		else
			err_set(&err, -EINVAL,
				"Parameter '%.200s' is unexpected", key);
		return qmp_error("GenericError", err.msg);
	}
	json_array_foreach(list, i, value)
	{
		const char *name = json_string_value(value);
		struct err err = { 0 };

		if (name && !strcmp(name, "oob")) {
			oob = true;
			continue;
		}
		err_set(&err, -EINVAL,
			"Parameter 'enable' does not accept value '%.200s'",
			name ? name : "");
		return qmp_error("GenericError", err.msg);
	}
	q->negotiated = true;
	q->oob = oob;
	return json_pack("{s{}}", "return");
}

/* What is answered without running a command; NULL when one shall. */
static json_t *qmp_refuse(struct qmp *q, const char *name,
			  const struct qmp_command *c, bool oob)
{
	struct err err = { 0 };

	if (!q->negotiated && !qmp_is_negotiation(name))
		err_set(&err, -EINVAL,
			"Expecting capabilities negotiation with "
			"'qmp_capabilities'");
	else if (q->negotiated && qmp_is_negotiation(name))
		err_set(&err, -EINVAL,
			"Capabilities negotiation is already complete, "
			"command ignored");
	else if (!c && !qmp_is_negotiation(name))
		err_set(&err, -EINVAL, "The command %.200s has not been found",
			name);
	if (err.code)
		return qmp_error("CommandNotFound", err.msg);
	if (c && role_check(q->mon->role, c->name, c->query != NULL, &err) < 0)
		return qmp_error("GenericError", err.msg);
	if (!oob)
		return NULL;
	if (!q->oob)
		err_set(&err, -EINVAL,
			"QMP input member 'exec-oob' is unexpected");
	else if (!c || !c->query)
		err_set(&err, -EINVAL,
			"The command %.200s does not support OOB", name);
	return err.code ? qmp_error("GenericError", err.msg) : NULL;
}

static void qmp_reply(struct qmp *q, json_t *reply, json_t *id)
{
	if (id)
		json_object_set(reply, "id", id);
	qmp_emit(q, reply);
	qmp_flush(q);
}

static void qmp_value(void *opaque, json_t *v)
{
	struct qmp *q = opaque;
	json_t *id = json_object_get(v, "id"), *reply = NULL;
	json_t *args = json_object_get(v, "arguments");
	const struct qmp_command *c = NULL;
	const char *name = NULL;
	struct err err = { 0 };
	bool oob = false;

	if (!json_is_object(v))
		err_set(&err, -EINVAL, "QMP input must be a JSON object");
	else
		name = qmp_check(v, &oob, &err);
	if (name) {
		c = qmp_find(name);
		reply = qmp_refuse(q, name, c, oob);
	} else {
		reply = qmp_error("GenericError", err.msg);
	}
	if (!reply && !c)
		reply = qmp_negotiate(q, args);
	else if (!reply && oob)
		reply = qmp_execute(q, c, args);
	if (reply) {
		if (name)
			qmp_audit(q, name, args, reply);
		qmp_reply(q, reply, id);
	} else {
		struct qmp_request *r = xalloc(sizeof *r);

		r->command = c;
		r->id = json_incref(id);
		r->args = json_incref(args);
		list_append(&q->requests, &r->node);
		q->nrequests++;
		qmp_next(q);
	}
	json_decref(v);
}

static void qmp_garbage(void *opaque, const char *message)
{
	qmp_reply(opaque, qmp_error("GenericError", message), NULL);
}

static const struct json_stream_ops qmp_json_ops = {
	.value = qmp_value,
	.error = qmp_garbage,
};

/* ---- chardev ---- */

/* Without "oob" a peer cannot overtake itself: one request at a time, as
 * QEMU's answers keep their order. */
static bool qmp_has_room(const struct qmp *q)
{
	return !q->out.len && !q->ended &&
	       q->nrequests < (q->oob ? QMP_QUEUE_MAX : 1);
}

static void qmp_pump(struct qmp *q)
{
	size_t at = 0;

	if (q->pumping)
		return;
	q->pumping = true;
	qmp_flush(q);
	while (at < q->in_len && qmp_has_room(q))
		json_stream_byte(&q->json, q->in[at++]);
	q->in_len -= at;
	memmove(q->in, q->in + at, q->in_len);
	q->pumping = false;
	if (!q->open && !q->nrequests)
		q->in_len = 0;
}

/* There may be room again. */
static void qmp_go_on(struct qmp *q)
{
	qmp_pump(q);
	if (qmp_has_room(q))
		chr_accept_input(q->chr);
}

static size_t qmp_can_read(void *opaque)
{
	struct qmp *q = opaque;

	return qmp_has_room(q) && !q->pumping ? QMP_INPUT_MAX - q->in_len : 0;
}

static void qmp_read(void *opaque, const u8 *data, size_t len)
{
	struct qmp *q = opaque;

	len = MIN(len, QMP_INPUT_MAX - q->in_len);
	memcpy(q->in + q->in_len, data, len);
	q->in_len += len;
	qmp_pump(q);
}

static void qmp_greet(struct qmp *q)
{
	struct args none = { .n = 0 };
	json_t *version =
		shape_version(q->mon, query_version(q->mon, &none, NULL));

	qmp_emit(q, json_pack("{s{so s[s]}}", "QMP", "version", version,
			      "capabilities", "oob"));
	qmp_flush(q);
}

static void qmp_forget_peer(struct qmp *q)
{
	struct qmp_request *r;

	q->negotiated = q->oob = q->dropped = false;
	json_stream_reset(&q->json);
	list_for_each (r, &q->requests, node)
		r->stale = true;
}

static void qmp_chr_event(void *opaque, enum chr_event event)
{
	struct qmp *q = opaque;

	switch (event) {
	case CHR_OPENED:
		qmp_forget_peer(q);
		buf_clear(&q->out);
		q->open = true;
		qmp_greet(q);
		break;
	case CHR_CLOSED:
		q->open = false;
		qmp_pump(q); /* what it sent is still run */
		mon_reap_later(q->m, q->chr);
		break;
	case CHR_WRITABLE: qmp_go_on(q); break;
	default: break;
	}
}

static const struct chr_front qmp_front = {
	.can_read = qmp_can_read,
	.read = qmp_read,
	.event = qmp_chr_event,
};

/* ---- life ---- */

static void qmp_free(struct qmp *q)
{
	struct qmp_request *r, *next;

	list_remove(&q->node);
	list_for_each_safe (r, next, &q->requests, node)
		qmp_request_free(r);
	json_stream_fini(&q->json);
	mon_detached_free(q->mon);
	buf_fini(&q->out);
	free(q);
}

void qmp_list_sessions(struct buf *out)
{
	struct qmp *q;

	list_for_each (q, &qmps, node) {
		buf_printf(out, "  %-18s qmp    ", chr_label(q->chr));
		chr_filename(q->chr, out);
		if (!q->open)
			buf_puts(out, " (nobody)");
		mon_list_peer(q->chr, q->mon->role, out);
	}
}

int qmp_create(struct machine *m, struct chardev *chr,
	       const struct monitor_options *options, struct err *err)
{
	struct qmp *q = xalloc(sizeof *q);
	int r;

	q->m = m;
	q->chr = chr;
	q->pretty = options->pretty;
	q->mon = mon_detached_create(m, qmp_resumed, q);
	q->mon->fds_from = chr;
	q->mon->role = options->role;
	chr_want_fds(chr);
	list_init(&q->requests);
	json_stream_init(&q->json, &qmp_json_ops, q);
	events_listen(m);
	list_append(&qmps, &q->node);
	r = chr_attach(chr, &qmp_front, q, err);
	if (r < 0)
		qmp_free(q);
	else if (chr_open(chr) && !q->open)
		qmp_chr_event(q, CHR_OPENED);
	return r;
}

static void qmp_end(struct qmp *q)
{
	struct qmp_request *r = qmp_first(q);
	struct chardev *chr = q->chr;

	if (r && r->result) /* "quit" is answered, too */
		qmp_answer(q, r);
	qmp_flush(q);
	chr_detach(chr, q);
	qmp_free(q);
	if (chr_label(chr)[0] == '#') {
		door_left(chr_label(chr));
		(void)chr_remove(chr, NULL);
	}
}

void qmp_reap(void)
{
	struct qmp *q, *next;

	list_for_each_safe (q, next, &qmps, node)
		if (chr_label(q->chr)[0] == '#' && !q->open && !q->nrequests)
			qmp_end(q);
}

void qmp_destroy_all(void)
{
	struct qmp *q, *next;

	events_end();
	list_for_each_safe (q, next, &qmps, node)
		qmp_end(q);
}
