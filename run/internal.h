/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the parts of `vmon run` share.
 */
#ifndef RUN_INTERNAL_H
#define RUN_INTERNAL_H

#include "lib/types.h"

struct buf;
struct err;
struct opts;

#define RUN_MANY_MAX 64

struct run {
	/* Of run/options.def; borrowed from the command line, those of which
	 * there may be several NULL-ended, flags: not NULL. */
	const char *image;
	const char *memory, *cpus, *name, *ssh_port;
	const char *ssh_key, *hostname, *password, *user_data, *meta_data,
		*network_config, *instance_id;
	const char *publish[RUN_MANY_MAX + 1];
	const char *disk, *size;
	const char *wait, *timeout;
	const char *config_drive, *ignition;
	const char *set_credential[RUN_MANY_MAX + 1],
		*load_credential[RUN_MANY_MAX + 1];
	const char *ephemeral, *write, *backing_files, *detach, *service, *timing, *dry_run,
		*help;

	char **more; /* options of vmon itself, behind "--" */
	int more_count;

	/* Made of them; owned. */
	char *own_key, *own_name, *own_image, *own_id;
	const char *user; /* that the keys are for, or NULL: not known */
	struct run_disk {
		char *path, *backing;
		const char *format; /* of `backing` */
		u64 size;
		bool create, grow, temporary;
		int fd; /* of one that has no name any more; -1 */
	} overlay;
	int lock_fd; /* of the machine's folder; -1 */
	bool folder; /* it has one */
	const char *bios; /* NULL: what is built in */
	u64 start_ns;

	char **argv; /* as its strings; NULL-ended */
	int argc;
};

/* run/args.c */
void run_help(void);
int run_parse(struct run *r, int argc, char **argv, struct err *err);

/* run/run.c */
const char *run_called(const struct run *r);
void run_add(struct run *r, char *word); /* takes it */
void run_add_option(struct run *r, const char *option, char *value);
char *run_format(struct opts *o); /* and ends it */
void run_print_word(const char *word);

/* run/disk.c: what the disk is to be; --dry-run ends there. */
int run_disk_plan(struct run *r, struct err *err);
/* Makes the overlay, or lets it grow. */
int run_disk_make(struct run *r, struct err *err);
void run_disk_add(struct run *r);
void run_disk_print(const struct run *r);
void run_disk_fini(struct run *r);

/* A file of vmon's own among this user's data; free() it. */
char *run_data_path(const char *name, struct err *err);
/* Those that a file's path is to be in, where they are missing. */
void run_make_folders(const char *path);

/* run/keys.c: settles whose ssh keys. */
int run_keys(struct run *r, struct err *err);

/* run/firmware.c: the image of OVMF, NULL: it is not installed. */
const char *run_ovmf(void);
/* Is it needed?  Nothing else may boot the disk. */
int run_plan_firmware(struct run *r, struct err *err);

/* run/credentials.c: for systemd in the guest, through SMBIOS. */
int run_add_credentials(struct run *r, struct err *err);

#endif
