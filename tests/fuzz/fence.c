/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The fuzzers' fence: what the linker's --wrap lets them reach of the host is
 * a scratch folder and nothing else.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/machine.h"

bool fuzz_fenced;

static bool fuzz_outside(const char *path)
{
	if (!fuzz_fenced)
		return false;
	return path[0] == '/' || strstr(path, "..") != NULL;
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);

int __wrap_open64(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	va_start(ap, flags);
	mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if (strcmp(path, "/dev/null") && fuzz_outside(path)) {
		errno = EACCES;
		return -1;
	}
	return __real_open64(path, flags, mode);
}

FILE *__real_fopen64(const char *path, const char *mode);
FILE *__wrap_fopen64(const char *path, const char *mode);

FILE *__wrap_fopen64(const char *path, const char *mode)
{
	if (fuzz_outside(path)) {
		errno = EACCES;
		return NULL;
	}
	return __real_fopen64(path, mode);
}

DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);

DIR *__wrap_opendir(const char *path)
{
	if (fuzz_outside(path)) {
		errno = EACCES;
		return NULL;
	}
	return __real_opendir(path);
}

/* No other file, host or program is reached at all. */
int __real_unlink(const char *path);
int __wrap_unlink(const char *path);
int __wrap_symlink(const char *to, const char *path);
int __wrap_bind(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_getaddrinfo(const char *host, const char *port,
		       const struct addrinfo *hints, struct addrinfo **list);
int __wrap_posix_spawn(pid_t *pid, const char *path,
		       const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attr, char *const *argv,
		       char *const *envp);

int __wrap_unlink(const char *path)
{
	if (!fuzz_fenced)
		return __real_unlink(path);
	errno = EACCES;
	return -1;
}

int __wrap_symlink(const char *to, const char *path)
{
	errno = EACCES;
	return -1;
}

int __wrap_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	errno = EACCES;
	return -1;
}

int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	errno = ECONNREFUSED;
	return -1;
}

int __wrap_getaddrinfo(const char *host, const char *port,
		       const struct addrinfo *hints, struct addrinfo **list)
{
	return EAI_FAIL;
}

int __wrap_posix_spawn(pid_t *pid, const char *path,
		       const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attr, char *const *argv,
		       char *const *envp)
{
	return EACCES;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static char folder[] = "/tmp/vmon-fuzz-XXXXXX";
	const char *given = getenv("VMON_FUZZ_FOLDER");

	signal(SIGPIPE, SIG_IGN);
	if (!given)
		given = mkdtemp(folder);
	if (!given || chdir(given) < 0) {
		perror("fuzz: scratch folder");
		return 1;
	}
	return 0;
}
