/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Image locks against double use, in the byte ranges that QEMU uses: for
 * each permission that we use a read lock on byte 100 + permission, for each
 * that others must not use one on byte 200 + permission.  Locks belong to the
 * open file (OFD), so that two drives of one process conflict as well.
 *
 * The kernel does not say who holds such a lock; /proc/PID/fdinfo does.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "block/internal.h"
#include "lib/err.h"

#define LOCK_USED     100
#define LOCK_UNSHARED 200

#define LOCK_PERM_WRITE 1

static int lock_byte(int fd, int type, off_t at)
{
	struct flock fl = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1
	};

	return fcntl(fd, F_OFD_SETLK, &fl) < 0 ? -errno : 0;
}

/* Does somebody else hold the byte? */
static bool lock_taken(int fd, off_t at)
{
	struct flock fl = { .l_type = F_WRLCK,
			    .l_whence = SEEK_SET,
			    .l_start = at,
			    .l_len = 1 };

	return fcntl(fd, F_OFD_GETLK, &fl) == 0 && fl.l_type != F_UNLCK;
}

/* ---- Who has it? ---- */

/* Does one line of fdinfo show a lock of ours on this inode?
 * "lock: 1: OFDLCK  ADVISORY  READ -1 08:01:1234 100 101" */
static bool holder_line(const char *line, const struct stat *st)
{
	unsigned maj, min;
	unsigned long long ino, start;

	if (strncmp(line, "lock:", 5) || !strstr(line, "OFDLCK"))
		return false;
	line = strstr(line, " -1 ");
	return line &&
	       sscanf(line, " -1 %x:%x:%llu %llu", &maj, &min, &ino, &start) ==
		       4 &&
	       ino == st->st_ino && start >= LOCK_USED &&
	       start < LOCK_UNSHARED + 100;
}

static bool holder_has(const char *pid, int skip_fd, const struct stat *st)
{
	char path[64], line[256];
	bool found = false;
	struct dirent *de;
	FILE *f;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%.16s/fdinfo", pid);
	d = opendir(path);
	if (!d)
		return false;
	while (!found && (de = readdir(d))) {
		if (!isdigit((unsigned char)de->d_name[0]) ||
		    (atoi(pid) == getpid() && atoi(de->d_name) == skip_fd))
			continue;
		snprintf(path, sizeof(path), "/proc/%.16s/fdinfo/%.16s", pid,
			 de->d_name);
		f = fopen(path, "re");
		while (f && !found && fgets(line, sizeof(line), f))
			found = holder_line(line, st);
		if (f)
			fclose(f);
	}
	closedir(d);
	return found;
}

static void read_proc(const char *pid, const char *what, char *out, size_t max,
		      size_t *ret_len)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%.16s/%.16s", pid, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, out, max - 1);
		close(fd);
	}
	*ret_len = n > 0 ? n : 0;
	out[*ret_len] = '\0';
}

/* The argument of -name, without its further options. */
static void holder_vm(const char *pid, char *vm, size_t max)
{
	char args[4096], *name;
	size_t len;

	vm[0] = '\0';
	read_proc(pid, "cmdline", args, sizeof(args), &len);
	for (char *a = args; a < args + len; a += strlen(a) + 1) {
		if (strcmp(a, "-name") && strcmp(a, "--name"))
			continue;
		name = a + strlen(a) + 1;
		if (name >= args + len)
			return;
		if (!strncmp(name, "guest=", 6))
			name += 6;
		snprintf(vm, max, "%.*s", (int)strcspn(name, ","), name);
		return;
	}
}

static int lock_busy(int fd, const char *path, struct err *err)
{
	char comm[32] = "", vm[128] = "";
	struct dirent *de;
	struct stat st;
	size_t len;
	DIR *d;

	if (fstat(fd, &st) < 0)
		return err_set(err, -EBUSY, "image '%s' is in use", path);
	d = opendir("/proc");
	while (d && (de = readdir(d))) {
		if (!isdigit((unsigned char)de->d_name[0]) ||
		    !holder_has(de->d_name, fd, &st))
			continue;
		if (atoi(de->d_name) == getpid()) {
			closedir(d);
			return err_set(err, -EBUSY,
				       "image '%s' is used by another drive "
				       "already",
				       path);
		}
		read_proc(de->d_name, "comm", comm, sizeof(comm), &len);
		comm[strcspn(comm, "\n")] = '\0';
		holder_vm(de->d_name, vm, sizeof(vm));
		err_set(err, -EBUSY, "image '%s' is in use by %s pid %s%s%s%s",
			path, comm, de->d_name, vm[0] ? " (vm '" : "", vm,
			vm[0] ? "')" : "");
		closedir(d);
		return -EBUSY;
	}
	if (d)
		closedir(d);
	return err_set(err, -EBUSY, "image '%s' is in use by another process",
		       path);
}

int lock_file(int fd, const char *path, bool readonly, int lock,
	      struct err *err)
{
	int perms = readonly ? 1 : 2; /* READ, or READ and WRITE */
	int r = 0;

	if (lock == 0)
		return 0;
	for (int i = 0; i < perms && r == 0; i++)
		r = lock_byte(fd, F_RDLCK, LOCK_USED + i);
	if (r == 0)
		r = lock_byte(fd, F_RDLCK, LOCK_UNSHARED + LOCK_PERM_WRITE);
	if (r == -EAGAIN || r == -EACCES)
		return lock_busy(fd, path, err);
	/* Not every file system can lock. */
	if (r < 0)
		return lock == 1 ? err_code(err, r, "cannot lock '%s'", path)
				 : 0;
	/* Ours first, then the look at the others: of two that start at the
	 * same moment at least one sees the other. */
	for (int i = 0; i < perms; i++)
		if (lock_taken(fd, LOCK_UNSHARED + i))
			return lock_busy(fd, path, err);
	if (lock_taken(fd, LOCK_USED + LOCK_PERM_WRITE))
		return lock_busy(fd, path, err);
	return 0;
}

void lock_share(int fd)
{
	lock_byte(fd, F_UNLCK, LOCK_UNSHARED + LOCK_PERM_WRITE);
}

void lock_read_only(int fd)
{
	lock_byte(fd, F_UNLCK, LOCK_USED + LOCK_PERM_WRITE);
}

void lock_release_all(int fd)
{
	struct flock fl = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	(void)fcntl(fd, F_OFD_SETLK, &fl);
}
