/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What QMP says of itself: the table of commands, and queries on it.
 *
 * The schema has the form of QEMU's (docs/devel/qapi-code-gen): entities
 * that name each other.  What queries return is of type "any" in it.
 */
#include <stdio.h>
#include <string.h>

#include "monitor/qmp.h"
#include "vmm/event.h"

const struct qmp_command qmp_table[] = {
#define QMP_RUN(name, types, fn, not_found) \
	{ name, types, cmd_##fn, NULL, NULL, #not_found },
#define QMP_QUERY(name, types, fn, shape, not_found) \
	{ name, types, NULL, query_##fn, shape_##shape, #not_found },
#include "monitor/qmp.def"
#undef QMP_RUN
#undef QMP_QUERY
	{ NULL, NULL, NULL, NULL, NULL, NULL }
};

json_t *query_qmp_commands(struct monitor *mon, const struct args *a,
			   struct err *err)
{
	json_t *list = json_array();

	json_array_append_new(list,
			      json_pack("{ss}", "name", "qmp_capabilities"));
	for (const struct qmp_command *c = qmp_table; c->name; c++)
		json_array_append_new(list, json_pack("{ss}", "name", c->name));
	return list;
}

json_t *query_qmp_events(struct monitor *mon, const struct args *a,
			 struct err *err)
{
	json_t *list = json_array();

	for (int i = 0; i < EVENT_COUNT; i++)
		json_array_append_new(
			list, json_pack("{ss}", "name", event_classes[i].name));
	return list;
}

/* ---- schema ---- */

#define SCHEMA_EMPTY "0" /* QEMU's name for the object without members */

static const char *schema_arg_type(char type)
{
	switch (type) {
	case 'b': return "bool";
	case 'i':
	case 'l':
	case 'M':
	case 'o': return "int";
	case 'J': return "any";
	default: return "str";
	}
}

static json_t *schema_member(const char *name, const char *type, bool optional)
{
	json_t *m = json_pack("{ss ss}", "name", name, "type", type);

	if (optional)
		json_object_set_new(m, "default", json_null());
	return m;
}

static void schema_add(json_t *list, json_t *entity)
{
	json_array_append_new(list, entity);
}

/* Adds an object of these members, unless there are none; returns its name.
 * Takes the reference. */
static const char *schema_object(json_t *list, json_t *members, char name[16],
				 int *serial)
{
	if (!json_array_size(members)) {
		json_decref(members);
		return SCHEMA_EMPTY;
	}
	snprintf(name, 16, "%d", ++*serial);
	schema_add(list, json_pack("{ss ss so}", "name", name, "meta-type",
				   "object", "members", members));
	return name;
}

static json_t *schema_arguments(const struct qmp_command *c)
{
	struct args a = { .n = 0 };
	json_t *members = json_array();

	args_declare(&a, c->types);
	for (int i = 0; i < a.n; i++) {
		const struct arg *arg = &a.v[i];

		if (arg->type == '-' || arg->type == '=' || arg->type == 'O')
			continue;
		json_array_append_new(members,
				      schema_member(arg->key,
						    schema_arg_type(arg->type),
						    arg->optional));
	}
	args_fini(&a);
	return members;
}

static void schema_command(json_t *list, const struct qmp_command *c,
			   int *serial)
{
	char name[16];
	const char *type =
		schema_object(list, schema_arguments(c), name, serial);
	json_t *e = json_pack("{ss ss ss ss}", "name", c->name, "meta-type",
			      "command", "arg-type", type, "ret-type",
			      c->query ? "any" : SCHEMA_EMPTY);

	if (c->query)
		json_object_set_new(e, "allow-oob", json_true());
	schema_add(list, e);
}

static void schema_event(json_t *list, const struct event_class *c, int *serial)
{
	static const char *const types[] = {
		[EVENT_FLAG] = "bool", [EVENT_NUM] = "int", [EVENT_TEXT] = "str"
	};
	json_t *members = json_array();
	const char *type;
	char name[16];

	for (int i = 0; c->field[i].type != EVENT_END; i++)
		json_array_append_new(
			members,
			schema_member(c->field[i].name, types[c->field[i].type],
				      c->field[i].type == EVENT_TEXT));
	type = schema_object(list, members, name, serial);
	schema_add(list, json_pack("{ss ss ss}", "name", c->name, "meta-type",
				   "event", "arg-type", type));
}

static void schema_builtins(json_t *list)
{
	static const char *const types[][2] = {
		{ "any", "value" }, { "bool", "boolean" },  { "int", "int" },
		{ "null", "null" }, { "number", "number" }, { "str", "string" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		schema_add(list, json_pack("{ss ss ss}", "name", types[i][0],
					   "meta-type", "builtin", "json-type",
					   types[i][1]));
	schema_add(list, json_pack("{ss ss s[]}", "name", SCHEMA_EMPTY,
				   "meta-type", "object", "members"));
	schema_add(list, json_pack("{ss ss s[s] s[{ss}]}", "name", "capability",
				   "meta-type", "enum", "values", "oob",
				   "members", "name", "oob"));
	schema_add(list,
		   json_pack("{ss ss ss}", "name", "[capability]", "meta-type",
			     "array", "element-type", "capability"));
	schema_add(list,
		   json_pack("{ss ss s[{ss ss sn}]}", "name", "negotiation",
			     "meta-type", "object", "members", "name", "enable",
			     "type", "[capability]", "default"));
	schema_add(list, json_pack("{ss ss ss ss}", "name", "qmp_capabilities",
				   "meta-type", "command", "arg-type",
				   "negotiation", "ret-type", SCHEMA_EMPTY));
}

json_t *query_qmp_schema(struct monitor *mon, const struct args *a,
			 struct err *err)
{
	json_t *list = json_array();
	int serial = 0;

	schema_builtins(list);
	for (const struct qmp_command *c = qmp_table; c->name; c++)
		schema_command(list, c, &serial);
	for (int i = 0; i < EVENT_COUNT; i++)
		schema_event(list, &event_classes[i], &serial);
	return list;
}
