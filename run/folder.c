/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A machine's folder.
 *
 * A lock says who lives: it ends with its process, however that dies, and a
 * fork keeps it.
 */
#include "run/folder.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "monitor/door.h"

#define FOLDER_POLL_NS 20000000
#define FOLDER_POLLS   25

static bool folder_is_plain(char c)
{
	return isalnum((u8)c) || (c && strchr("._-", c));
}

bool folder_name_good(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > FOLDER_NAME_MAX || !isalnum((u8)name[0]) ||
	    name[strspn(name, "0123456789")] == '\0')
		return false;
	for (size_t n = 0; n < len; n++)
		if (!folder_is_plain(name[n]))
			return false;
	return true;
}

char *folder_name(const char *text)
{
	char *name = xprintf("%.*s", FOLDER_NAME_MAX - 8, text), *better;

	for (char *at = name; *at; at++)
		if (!folder_is_plain(*at))
			*at = '-';
	if (folder_name_good(name))
		return name;
	better = xprintf("vm-%s", name);
	free(name);
	return better;
}

char *folder_path(const char *name, const char *file)
{
	struct buf path = { 0 };

	if (door_folder(&path) < 0) {
		buf_fini(&path);
		return NULL;
	}
	buf_printf(&path, "/%s%s%s", name, *file ? "/" : "", file);
	return buf_steal(&path);
}

static int folder_lock_file(const char *name, int flags)
{
	char *path = folder_path(name, "lock");
	int fd = path ? open(path, flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW,
			     0600)
		      : -1;

	fd = fd < 0 ? -errno : fd;
	free(path);
	return fd;
}

bool folder_alive(const char *name)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = folder_name_good(name) ? folder_lock_file(name, 0) : -1;
	bool alive;

	if (fd < 0)
		return false;
	alive = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	close(fd);
	return alive;
}

static void folder_remove(const char *name, const char *file)
{
	char *path = folder_path(name, file);

	if (path)
		unlink(path);
	free(path);
}

/* Who has said that it ends may still be at it. */
static bool folder_lock(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct timespec pause = { .tv_nsec = FOLDER_POLL_NS };

	for (int n = 0; n < FOLDER_POLLS; n++) {
		if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

int folder_take(const char *name, struct err *err)
{
	char *path = folder_path(name, "");
	int fd = -ENOENT;

	if (!path || !door_make_folder())
		err_set(err, -ENOENT,
			"it needs XDG_RUNTIME_DIR, a folder of this user");
	else if (mkdir(path, 0700) < 0 && errno != EEXIST)
		fd = err_errno(err, "cannot make '%s'", path);
	else if ((fd = folder_lock_file(name, O_CREAT)) < 0)
		err_code(err, fd, "cannot use '%s'", path);
	else if (!folder_lock(fd)) {
		close(fd);
		fd = err_set(err, -EEXIST,
			     "a machine '%s' is running; --name gives this "
			     "one another",
			     name);
	}
	free(path);
	if (fd < 0)
		return err->code;
	folder_clean(name);
	folder_remove(name, "log");
	folder_remove(name, "log.1");
	folder_remove(name, "messages");
	return fd;
}

void folder_clean(const char *name)
{
	folder_remove(name, "console");
	folder_remove(name, "pid");
	folder_remove(name, "keys");
	folder_remove(name, "user");
}

void folder_set_user(const char *name, const char *user)
{
	char *path = folder_path(name, "user");
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			     0600)
		      : -1;

	if (fd >= 0) {
		/* Whom it does not help says USER@NAME. */
		if (write(fd, user, strlen(user)) < 0)
			unlink(path);
		close(fd);
	}
	free(path);
}

char *folder_user(const char *name)
{
	char *path = folder_path(name, "user"), text[FOLDER_NAME_MAX];
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : 0;

	if (fd >= 0)
		close(fd);
	free(path);
	return n > 0 ? xprintf("%.*s", (int)n, text) : NULL;
}
