/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the command line asks for, checked for form only.
 *
 * Options that create something are kept as typed, in order, and are carried
 * out by vmm/main.c once the machine exists.
 */
#ifndef VMM_CONFIG_H
#define VMM_CONFIG_H

#include "lib/list.h"
#include "lib/types.h"
#include "vmm/machine.h"

struct err;

/* Options that may be repeated. */
enum config_kind {
	CONFIG_CHARDEV,
	CONFIG_DRIVE,
	CONFIG_HD, /* -hda and friends: text is the file */
	CONFIG_CDROM, /* text is the file */
	CONFIG_PFLASH,
	CONFIG_SEED,
	CONFIG_NETDEV,
	CONFIG_NIC,
	CONFIG_NET,
	CONFIG_DEVICE,
	CONFIG_SERIAL,
	CONFIG_MONITOR,
	CONFIG_MON,
	CONFIG_QMP,
	CONFIG_DEBUGCON,
	CONFIG_GDB,
	CONFIG_FW_CFG,
	CONFIG_SMBIOS,
	CONFIG_OBJECT,
};

struct config_item {
	enum config_kind kind;
	const char *option; /* as typed, without dashes; borrowed from argv */
	const char *text;   /* borrowed from argv */
	int index;          /* CONFIG_HD: disk number */
	struct list node;
};

enum config_rtc { RTC_UTC, RTC_LOCALTIME, RTC_DATE };

struct config {
	struct list items; /* of struct config_item, in order */

	const char *accel; /* "kvm:tcg" */
	char *accel_text;  /* owned; what `accel` may point to */
	const char *cpu_model;
	u64 ram_size;
	struct topology topo;
	char *name; /* owned */
	u8 uuid[16];
	bool uuid_set;

	const char *kernel, *initrd, *append, *bios;
	bool perfmap;
	bool paused; /* -S */
	bool no_pit; /* -machine pit=off */
	bool no_reboot, no_shutdown;
	int watchdog_action; /* vmm/watchdog.h */
	int panic_action;    /* vmm/panic.h */
	char *boot_order;    /* owned; NULL: default */
	char *boot_once;     /* owned; NULL: the same */
	bool boot_menu, boot_strict;
	u32 boot_menu_ms; /* 0: default */
	bool snapshot; /* -snapshot */
	bool nodefaults;
	bool nographic;
	bool display_none;
	bool vga;
	bool daemonize;
	const char *pidfile;
	enum config_rtc rtc;
	s64 rtc_seconds; /* RTC_DATE: since 1970 */
	u32 log_items;
	const char *log_file, *log_filter, *audit_file;
	bool msg_timestamp, msg_guest_name; /* -msg */
	int echr;                           /* -1: default */
};

void config_init(struct config *c);
void config_fini(struct config *c);
bool config_has(const struct config *c, enum config_kind kind);

enum config_result {
	CONFIG_RUN,
	CONFIG_EXIT, /* -help, -version, -device help: printed, exit 0 */
	CONFIG_FAIL, /* err says why */
};

enum config_result config_parse(struct config *c, int argc, char **argv,
				struct err *err);

/* What an option's argument may consist of, for those that ask. */
struct config_rows {
	const char *option; /* NULL: the end */
	const struct option_row *rows;
};

extern const struct config_rows config_machine_rows[], config_run_rows[];

#endif
