/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon inspect IMAGE`: what it is, what boots it, what it will see of a seed.
 *
 * A process of its own, with limits on time and memory, reads the disk: what
 * is on it may be made to harm who looks.
 */
#include "run/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block/image.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "run/internal.h"
#include "run/look.h"

#define INSPECT_ANSWER_MAX (1 * MIB)
#define INSPECT_CPU_S      20
#define INSPECT_MEMORY     (1 * GIB)
#define INSPECT_CHAIN_MAX  64

/* ---- Looking ---- */

static json_t *inspect_chain(struct image *i)
{
	struct block_layer l[INSPECT_CHAIN_MAX];
	int n = MIN(image_layers(i, l, INSPECT_CHAIN_MAX), INSPECT_CHAIN_MAX);
	json_t *list = json_array();

	for (int k = 0; k < n; k++)
		json_array_append_new(
			list,
			json_pack("{ss ss sI sI sb ss*}", "file", l[k].file,
				  "format", l[k].format, "virtual-size",
				  (json_int_t)l[k].virtual_size, "disk-size",
				  (json_int_t)l[k].disk_size, "corrupt",
				  (int)l[k].corrupt, "compression",
				  l[k].version ? l[k].zstd ? "zstd" : "zlib"
					       : NULL));
	return list;
}

static json_t *inspect_system(struct image *i, const json_t *disk)
{
	json_t *system = json_pack("{s[] sb sb}", "kernels", "cloud-init", 0,
				   "ignition", 0),
	       *p;
	size_t n;

	json_array_foreach(json_object_get(disk, "partitions"), n, p)
	{
		const char *fs = json_string_value(
			json_object_get(p, "filesystem"));
		struct look_area a = {
			.image = i,
			.start = (u64)json_integer_value(
				json_object_get(p, "start")),
			.size = (u64)json_integer_value(
				json_object_get(p, "size")),
		};

		if (fs && !strcmp(fs, "ext4"))
			look_ext(&a, system);
	}
	return system;
}

static json_t *inspect_image(const char *path, const char *format,
			     struct err *err)
{
	struct image_mode mode = { .unlocked = true, .untrusted = !format };
	struct image *i = image_open(path, format, &mode, err);
	json_t *v;

	if (!i)
		return NULL;
	v = look_disk(i);
	json_object_set_new(v, "image", json_string(path));
	json_object_set_new(v, "chain", inspect_chain(i));
	json_object_set_new(v, "system", inspect_system(i, v));
	if (inspect_user(v))
		json_object_set_new(v, "user", json_string(inspect_user(v)));
	image_close(i);
	return v;
}

/* ---- In a process of its own ---- */

/* A sanitizer's shadow has no such limits. */
#if defined(__SANITIZE_ADDRESS__)
#define INSPECT_SHADOW true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define INSPECT_SHADOW true
#endif
#endif
#ifndef INSPECT_SHADOW
#define INSPECT_SHADOW false
#endif

static void inspect_limit(void)
{
	struct rlimit cpu = { INSPECT_CPU_S, INSPECT_CPU_S },
		      memory = { INSPECT_MEMORY, INSPECT_MEMORY },
		      none = { 0, 0 };

	setrlimit(RLIMIT_CPU, &cpu);
	if (!INSPECT_SHADOW)
		setrlimit(RLIMIT_AS, &memory);
	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_FSIZE, &none);
}

/* Answers {"error": ...}, or the tree. */
static void inspect_child(const char *path, const char *format, int out)
{
	struct err err = { 0 };
	json_t *v;
	char *text;
	FILE *f = fdopen(out, "w");

	inspect_limit();
	v = inspect_image(path, format, &err);
	if (!v)
		v = json_pack("{ss}", "error", err.msg);
	text = json_dumps(v, JSON_COMPACT);
	if (f && text)
		fputs(text, f);
	fflush(NULL);
	_exit(0);
}

static json_t *inspect_ask(const char *path, const char *format)
{
	struct buf answer = { 0 };
	char data[16384];
	int pipes[2];
	json_t *v;
	ssize_t n;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return NULL;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		inspect_child(path, format, pipes[1]);
	close(pipes[1]);
	while (pid > 0 && answer.len < INSPECT_ANSWER_MAX &&
	       (n = read(pipes[0], data, sizeof data)) > 0)
		buf_append(&answer, data, (size_t)n);
	close(pipes[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	v = json_loads(buf_str(&answer), 0, NULL);
	buf_fini(&answer);
	return v;
}

/* ---- What it comes to ---- */

static const char *inspect_text(const json_t *v, const char *key)
{
	return json_string_value(json_object_get(v, key));
}

bool inspect_is_uefi_only(const json_t *v)
{
	const json_t *loaders = json_object_get(v, "loaders");

	return !inspect_text(loaders, "bios") && inspect_text(loaders, "efi");
}

/* Lines for the user; the first says what is to be done. */
static void inspect_advise(json_t *v)
{
	const json_t *system = json_object_get(v, "system"),
		     *loaders = json_object_get(v, "loaders");
	json_t *notes = json_array();
	bool cloud = json_is_true(json_object_get(system, "cloud-init")),
	     ignition = json_is_true(json_object_get(system, "ignition")),
	     known = inspect_text(system, "name");
	const char *how = "";

	if (!inspect_text(loaders, "bios") && !inspect_text(loaders, "efi"))
		json_array_append_new(
			notes,
			json_string("nothing on it boots: no boot code in the "
				    "first sector, no EFI/BOOT/BOOTX64.EFI"));
	if (inspect_is_uefi_only(v))
		json_array_append_new(
			notes, json_string(run_ovmf()
						   ? "it has only a UEFI boot "
						     "loader; vmon run starts "
						     "OVMF"
						   : "it has only a UEFI boot "
						     "loader; install the "
						     "package ovmf"));
	if (ignition)
		how = "--ignition FILE ";
	else if (known && !cloud)
		json_array_append_new(
			notes, json_string("there is no cloud-init: keys and "
					   "passwords go in by "
					   "--load-credential, where systemd "
					   "is 252 or later"));
	json_object_set_new(v, "seed",
			    known ? json_boolean(cloud) : json_null());
	json_object_set_new(v, "uefi-only",
			    json_boolean(inspect_is_uefi_only(v)));
	json_object_set_new(v, "notes", notes);
	json_object_set_new(v, "command",
			    json_sprintf("vmon run %s%s", how,
					 inspect_text(v, "image")));
}

json_t *inspect(const char *path, const char *format, struct err *err)
{
	struct stat st;
	json_t *v;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		err_set(err, -EISDIR, "'%s' is a directory", path);
		return NULL;
	}
	v = json_string(path);
	if (!v) {
		err_set(err, -EINVAL, "'%s' is not in UTF-8", path);
		return NULL;
	}
	json_decref(v);
	v = inspect_ask(path, format);
	if (!v) {
		err_set(err, -EIO,
			"'%s' could not be looked at: reading it ended the "
			"process that did",
			path);
		return NULL;
	}
	if (json_object_get(v, "error")) {
		err_set(err, -EIO, "%s", inspect_text(v, "error"));
		json_decref(v);
		return NULL;
	}
	inspect_advise(v);
	return v;
}

/* ---- As text ---- */

static void inspect_put_size(struct buf *out, const json_t *v, const char *key)
{
	image_format_size((u64)json_integer_value(json_object_get(v, key)),
			  out);
}

static void inspect_put_chain(struct buf *out, const json_t *chain)
{
	size_t n;
	json_t *l;

	json_array_foreach(chain, n, l)
	{
		buf_printf(out, "%-14s%s, %s", n ? "backing file:" : "image:",
			   inspect_text(l, "file"), inspect_text(l, "format"));
		if (inspect_text(l, "compression"))
			buf_printf(out, " (%s)", inspect_text(l, "compression"));
		buf_puts(out, ", ");
		inspect_put_size(out, l, "virtual-size");
		buf_puts(out, ", ");
		inspect_put_size(out, l, "disk-size");
		buf_printf(out, " used%s\n",
			   json_is_true(json_object_get(l, "corrupt"))
				   ? ", marked as corrupt"
				   : "");
	}
}

static void inspect_put_partitions(struct buf *out, const json_t *v)
{
	size_t n;
	json_t *p;

	buf_printf(out, "%-14s%s\n", "partitions:", inspect_text(v, "table"));
	json_array_foreach(json_object_get(v, "partitions"), n, p)
	{
		struct buf size = { 0 };

		inspect_put_size(&size, p, "size");
		buf_printf(out, "%6lld  %-10s %-14s %s\n",
			   (long long)json_integer_value(
				   json_object_get(p, "number")),
			   buf_str(&size), inspect_text(p, "type"),
			   inspect_text(p, "filesystem")
				   ? inspect_text(p, "filesystem")
				   : "-");
		buf_fini(&size);
	}
}

/* A stranger's text on a terminal. */
static void inspect_put_plain(struct buf *out, const char *text)
{
	for (; *text; text++)
		buf_putc(out, (u8)*text >= ' ' && *text != 0x7f ? *text : '?');
}

/* cloud-init's system_info.default_user, as the distributions' images have it;
 * by ID of os-release. */
static const struct {
	const char *id, *user;
} inspect_users[] = {
	{ "debian", "debian" },          { "ubuntu", "ubuntu" },
	{ "fedora", "fedora" },          { "centos", "cloud-user" },
	{ "rhel", "cloud-user" },        { "rocky", "rocky" },
	{ "almalinux", "almalinux" },    { "ol", "cloud-user" },
	{ "amzn", "ec2-user" },          { "arch", "arch" },
	{ "alpine", "alpine" },          { "gentoo", "gentoo" },
	{ "opensuse-leap", "opensuse" }, { "opensuse-tumbleweed", "opensuse" },
};

const char *inspect_user(const json_t *v)
{
	const json_t *system = json_object_get(v, "system");
	const char *id = inspect_text(system, "id");

	if (json_is_true(json_object_get(system, "ignition")))
		return "core";
	if (!id || !json_is_true(json_object_get(system, "cloud-init")))
		return NULL;
	for (size_t n = 0; n < ARRAY_SIZE(inspect_users); n++)
		if (!strcmp(inspect_users[n].id, id))
			return inspect_users[n].user;
	return NULL;
}

static void inspect_put_system(struct buf *out, const json_t *v)
{
	const json_t *system = json_object_get(v, "system"),
		     *loaders = json_object_get(v, "loaders"),
		     *seed = json_object_get(v, "seed");
	const char *bios = inspect_text(loaders, "bios"),
		   *efi = inspect_text(loaders, "efi"),
		   *name = inspect_text(system, "name");
	size_t n;
	json_t *k;

	buf_printf(out, "%-14s%s%s%s%s%s\n", "loaders:", bios ? "BIOS " : "",
		   bios ? bios : "", bios && efi ? ", " : "",
		   efi ? "UEFI " : "", efi ? efi : bios ? "" : "none");
	buf_printf(out, "%-14s", "system:");
	inspect_put_plain(out, name ? name : "not known");
	buf_putc(out, '\n');
	json_array_foreach(json_object_get(system, "kernels"), n, k)
	{
		buf_printf(out, "%-14s", n ? "" : "kernels:");
		inspect_put_plain(out, json_string_value(k));
		buf_putc(out, '\n');
	}
	buf_printf(out, "%-14s%s\n", "first boot:",
		   json_is_true(json_object_get(system, "ignition"))
			   ? "Ignition"
		   : json_is_null(seed) ? "not known"
		   : json_is_true(seed) ? "cloud-init, which sees the seed"
					: "no cloud-init");
	if (inspect_user(v))
		buf_printf(out, "%-14s%s\n", "user:", inspect_user(v));
}

static void inspect_print(const json_t *v)
{
	struct buf out = { 0 };
	size_t n;
	json_t *note;

	inspect_put_chain(&out, json_object_get(v, "chain"));
	inspect_put_partitions(&out, v);
	inspect_put_system(&out, v);
	json_array_foreach(json_object_get(v, "notes"), n, note)
		buf_printf(&out, "%-14s%s\n", "note:", json_string_value(note));
	buf_printf(&out, "%-14s%s\n", "run it:", inspect_text(v, "command"));
	fputs(buf_str(&out), stdout);
	buf_fini(&out);
}

int inspect_main(int argc, char **argv)
{
	const char *format = NULL;
	struct err err = { 0 };
	bool as_json = false;
	json_t *v;

	for (; argc > 1; argc--, argv++)
		if (!strcmp(argv[0], "--json")) {
			as_json = true;
		} else if (!strcmp(argv[0], "-f") && argc > 2) {
			format = argv[1];
			argc--, argv++;
		} else {
			break;
		}
	if (argc != 1 || (argv[0][0] == '-' && argv[0][1])) {
		fprintf(stderr,
			"usage: vmon inspect [--json] [-f FORMAT] IMAGE\n");
		return 1;
	}
	v = inspect(argv[0], format, &err);
	if (!v) {
		log_info("inspect: %s", err.msg);
		return 2;
	}
	if (as_json)
		json_dumpf(v, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	else
		inspect_print(v);
	if (as_json)
		putchar('\n');
	json_decref(v);
	return 0;
}
