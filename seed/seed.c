/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * From options to the files of NoCloud.
 */
#include "seed/seed.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "seed/fat.h"

struct seed {
	char *user_data, *meta_data, *vendor_data, *network_config; /* paths */
	char *ssh_key, *hostname, *password, *instance_id;
	bool config_drive;
};

/* clang-format off */
#define ROW(name, field, help) \
	{ name, &opt_str, offsetof(struct seed, field), NULL, help, NULL }

const struct option_row seed_options[] = {
	ROW("ssh-key", ssh_key, "file of public keys for the default user"),
	ROW("hostname", hostname, "the guest's name"),
	ROW("password", password, "of the default user, who may log in with it"),
	ROW("user-data", user_data, "file: what cloud-init is to do"),
	ROW("network-config", network_config, "file: network, version 1 or 2"),
	ROW("instance-id", instance_id,
	    "a new one is a new first boot; random if not given"),
	ROW("meta-data", meta_data,
	    "file, instead of ssh-key, hostname and instance-id"),
	ROW("vendor-data", vendor_data, "file, instead of password"),
	{ "config-drive", &opt_bool, offsetof(struct seed, config_drive), "off",
	  "as OpenStack's config drive, not as NoCloud's volume", NULL },
	OPTION_END,
};
/* clang-format on */

#undef ROW

/* ---- Files ---- */

/* The shell leaves the tilde alone behind a '='. */
static char *seed_path(const char *path)
{
	const char *home = getenv("HOME");

	if (strncmp(path, "~/", 2) || !home)
		return xstrdup(path);
	return xprintf("%s%s", home, path + 1);
}

static int seed_read_fd(int fd, struct buf *out)
{
	char block[16384];
	ssize_t n;

	while ((n = read(fd, block, sizeof block)) > 0) {
		if ((u64)n > FAT_BYTES_MAX - out->len)
			return -EFBIG;
		buf_append(out, block, (size_t)n);
	}
	return n < 0 ? -errno : 0;
}

static int seed_read(const char *key, const char *path, struct buf *out,
		     struct err *err)
{
	char *full = seed_path(path);
	struct stat st;
	int fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r;

	if (fd < 0)
		r = -errno;
	else if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		r = -EISDIR;
	else
		r = seed_read_fd(fd, out);
	if (fd >= 0)
		close(fd);
	if (r == -EFBIG)
		err_set(err, r, "%s: '%s' has more than %llu bytes", key, full,
			(unsigned long long)FAT_BYTES_MAX);
	else if (r < 0)
		err_code(err, r, "%s: could not read '%s'", key, full);
	free(full);
	return r;
}

/* ---- What is in them ---- */

/* JSON's strings are YAML's. */
static int seed_put(struct buf *out, const char *before, const char *key,
		    const char *value, size_t len, struct err *err)
{
	json_t *v = json_stringn(value, len);
	char *text = v ? json_dumps(v, JSON_ENCODE_ANY) : NULL;

	json_decref(v);
	if (!text)
		return err_set(err, -EINVAL, "%s is not in UTF-8", key);
	buf_printf(out, "%s%s\n", before, text);
	free(text);
	return 0;
}

/* One a line, as strings of JSON. */
static int seed_keys(const char *path, json_t *keys, struct err *err)
{
	struct buf file = { 0 };
	int r = seed_read("ssh-key", path, &file, err);

	for (const char *at = buf_str(&file); r == 0 && *at;) {
		size_t len = strcspn(at, "\r\n");

		if (!strncmp(at, "-----BEGIN", 10))
			r = err_set(err, -EINVAL,
				    "ssh-key: '%s' is a private key; the "
				    "public one is in '%s.pub'",
				    path, path);
		else if (len && *at != '#' &&
			 json_array_append_new(keys, json_stringn(at, len)) < 0)
			r = err_set(err, -EINVAL, "ssh-key is not in UTF-8");
		at += len;
		at += strspn(at, "\r\n");
	}
	if (r == 0 && !json_array_size(keys))
		r = err_set(err, -EINVAL, "ssh-key: no key in '%s'", path);
	buf_fini(&file);
	return r;
}

static int seed_put_keys(struct buf *out, const char *path, struct err *err)
{
	json_t *keys = json_array(), *key;
	int r = seed_keys(path, keys, err);
	size_t i;

	if (r == 0)
		buf_puts(out, "public-keys:\n");
	json_array_foreach(keys, i, key)
	{
		if (r == 0)
			r = seed_put(out, "  - ", "ssh-key",
				     json_string_value(key),
				     json_string_length(key), err);
	}
	json_decref(keys);
	return r;
}

/* free() it. */
static char *seed_instance(const struct seed *s, struct err *err)
{
	u64 random;

	if (s->instance_id)
		return xstrdup(s->instance_id);
	if (getrandom(&random, sizeof random, 0) != sizeof random) {
		err_errno(err, "no random numbers");
		return NULL;
	}
	return xprintf("vmon-%016llx", (unsigned long long)random);
}

static int seed_put_instance(struct buf *out, const struct seed *s,
			     struct err *err)
{
	char *id = seed_instance(s, err);
	int r = id ? seed_put(out, "instance-id: ", "instance-id", id,
			      strlen(id), err)
		   : err->code;

	free(id);
	return r;
}

static int seed_meta_data(struct buf *out, const struct seed *s,
			  struct err *err)
{
	int r;

	if (s->meta_data && (s->ssh_key || s->hostname || s->instance_id))
		return err_set(err, -EINVAL,
			       "meta-data= says what ssh-key=, hostname= and "
			       "instance-id= say, too");
	if (s->meta_data)
		return seed_read("meta-data", s->meta_data, out, err);
	r = seed_put_instance(out, s, err);
	if (r == 0 && s->hostname)
		r = seed_put(out, "local-hostname: ", "hostname", s->hostname,
			     strlen(s->hostname), err);
	if (r == 0 && s->ssh_key)
		r = seed_put_keys(out, s->ssh_key, err);
	return r;
}

/* cloud-init says nothing of what it does not know. */
static void seed_check_user_data(const char *path, const char *text)
{
	static const char *const starts[] = {
		"#cloud-config", "#!",       "#include",      "#cloud-boothook",
		"#part-handler", "#upstart", "Content-Type:", "MIME-Version:",
		"## template:",  "\x1f\x8b",
	};

	for (size_t i = 0; i < ARRAY_SIZE(starts); i++)
		if (!strncmp(text, starts[i], strlen(starts[i])))
			return;
	log_warn("user-data: '%s' begins with none of '#cloud-config', '#!', "
		 "'Content-Type:'...; cloud-init ignores it",
		 path);
}

static int seed_user_data(struct buf *out, const struct seed *s,
			  struct err *err)
{
	int r;

	if (!s->user_data) {
		buf_puts(out, "#cloud-config\n{}\n");
		return 0;
	}
	r = seed_read("user-data", s->user_data, out, err);
	if (r == 0)
		seed_check_user_data(s->user_data, buf_str(out));
	return r;
}

static int seed_vendor_data(struct buf *out, const struct seed *s,
			    struct err *err)
{
	if (s->vendor_data && s->password)
		return err_set(err, -EINVAL,
			       "password= is put into vendor-data, and "
			       "vendor-data= is given");
	if (s->vendor_data)
		return seed_read("vendor-data", s->vendor_data, out, err);
	if (!s->password)
		return 0;
	buf_puts(out, "#cloud-config\nssh_pwauth: true\n"
		      "chpasswd: { expire: false }\n");
	return seed_put(out, "password: ", "password", s->password,
			strlen(s->password), err);
}

/* ---- The image ---- */

static int seed_memfd(const u8 *image, size_t size, struct err *err)
{
	int fd = memfd_create("vmon-seed", MFD_CLOEXEC), ro = -1;
	char *path;

	if (fd < 0)
		return err_errno(err, "no memory for the seed");
	if (write(fd, image, size) == (ssize_t)size) {
		path = xprintf("/proc/self/fd/%d", fd);
		ro = open(path, O_RDONLY | O_CLOEXEC);
		free(path);
	}
	if (ro < 0)
		err_errno(err, "no memory for the seed");
	close(fd);
	return ro < 0 ? (err && err->code < 0 ? err->code : -ENOMEM) : ro;
}

struct seed_texts {
	struct buf meta, user, vendor, net;
};

static int seed_nocloud(const struct seed *s, struct seed_texts *t,
			struct err *err)
{
	int r = seed_meta_data(&t->meta, s, err);

	if (r == 0)
		r = seed_user_data(&t->user, s, err);
	if (r == 0)
		r = seed_vendor_data(&t->vendor, s, err);
	if (r == 0 && s->network_config)
		r = seed_read("network-config", s->network_config, &t->net,
			      err);
	return r;
}

/* ---- OpenStack's config drive ---- */

static int seed_dump(struct buf *out, json_t *v, struct err *err)
{
	char *text = v ? json_dumps(v, JSON_INDENT(1)) : NULL;

	json_decref(v);
	if (!text)
		return err_set(err, -EINVAL,
			       "hostname or instance-id is not in UTF-8");
	buf_puts(out, text);
	free(text);
	return 0;
}

/* The name of a key is of no meaning. */
static json_t *seed_drive_keys(const json_t *keys)
{
	json_t *names = json_object(), *key;
	char name[24];
	size_t i;

	json_array_foreach(keys, i, key)
	{
		snprintf(name, sizeof name, "key%zu", i);
		json_object_set(names, name, key);
	}
	return names;
}

static int seed_drive_meta(const struct seed *s, struct buf *out,
			   struct err *err)
{
	json_t *keys = json_array();
	char *id = seed_instance(s, err);
	int r = id ? 0 : err->code;

	if (r == 0 && s->ssh_key)
		r = seed_keys(s->ssh_key, keys, err);
	if (r == 0)
		r = seed_dump(out,
			      json_pack("{ss ss* ss* so}", "uuid", id,
					"hostname", s->hostname, "name",
					s->hostname, "public_keys",
					seed_drive_keys(keys)),
			      err);
	json_decref(keys);
	free(id);
	return r;
}

static int seed_drive(const struct seed *s, struct seed_texts *t,
		      struct err *err)
{
	struct buf vendor = { 0 };
	int r;

	if (s->network_config)
		return err_set(err, -EINVAL,
			       "a config drive has no network-config=; say it "
			       "in user-data=");
	r = s->meta_data ? seed_meta_data(&t->meta, s, err)
			 : seed_drive_meta(s, &t->meta, err);
	if (r == 0)
		r = seed_user_data(&t->user, s, err);
	if (r == 0)
		r = seed_vendor_data(&vendor, s, err);
	if (r == 0 && vendor.len)
		r = seed_dump(&t->vendor,
			      json_pack("{ss}", "cloud-init", buf_str(&vendor)),
			      err);
	buf_fini(&vendor);
	return r;
}

/* ---- The volume ---- */

/* What is empty is left out, but for the first two. */
static int seed_build(const char *label, const char *const names[4],
		      const struct seed_texts *t, struct err *err)
{
	const struct buf *texts[] = { &t->meta, &t->user, &t->vendor, &t->net };
	struct fat_file files[4];
	size_t size = 0;
	u8 *image = NULL;
	int n = 0, r;

	for (int i = 0; i < 4; i++)
		if (i < 2 || texts[i]->len)
			files[n++] = (struct fat_file){ names[i],
							texts[i]->data,
							texts[i]->len };
	r = fat_build(label, files, n, &image, &size, err);
	if (r == 0)
		r = seed_memfd(image, size, err);
	free(image);
	return r;
}

static int seed_image(const struct seed *s, struct err *err)
{
	static const char *const nocloud[] = { "meta-data", "user-data",
					       "vendor-data",
					       "network-config" };
	static const char *const drive[] = {
		"openstack/latest/meta_data.json", "openstack/latest/user_data",
		"openstack/latest/vendor_data.json", NULL
	};
	struct seed_texts t = { 0 };
	int r = s->config_drive ? seed_drive(s, &t, err)
				: seed_nocloud(s, &t, err);

	if (r == 0)
		r = seed_build(s->config_drive ? "config-2" : "CIDATA",
			       s->config_drive ? drive : nocloud, &t, err);
	buf_fini(&t.meta);
	buf_fini(&t.user);
	buf_fini(&t.vendor);
	buf_fini(&t.net);
	return r;
}

int seed_open(const char *text, struct err *err)
{
	struct seed s = { 0 };
	struct opts o;
	int r = opts_parse(&o, text, NULL, err);

	if (r < 0)
		return r;
	r = opts_apply(&o, seed_options, &s, err);
	if (r == 0)
		r = opts_check_used(&o, seed_options, err);
	if (r == 0)
		r = seed_image(&s, err);
	opt_rows_fini(seed_options, &s);
	opts_fini(&o);
	return r;
}
