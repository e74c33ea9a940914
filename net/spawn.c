/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Running the programs that set interfaces up: scripts, and the helper that
 * passes a tap's descriptor back over a socket.
 *
 * May block for as long as the program runs; it is the operator's choice.
 */
#include "net/spawn.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/err.h"

static int spawn_start(const char *const argv[], int keep_fd, pid_t *pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK |
						POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	/* Onto itself: that clears close-on-exec. */
	if (keep_fd >= 0)
		posix_spawn_file_actions_adddup2(&actions, keep_fd, keep_fd);
	r = posix_spawn(pid, argv[0], &actions, &attr, (char *const *)argv,
			environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int spawn_wait(const char *name, pid_t pid, struct err *err)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return err_errno(err, "cannot wait for '%s'", name);
	}
	if (WIFSIGNALED(status))
		return err_set(err, -EIO, "'%s' died of signal %d", name,
			       WTERMSIG(status));
	if (WEXITSTATUS(status))
		return err_set(err, -EIO, "'%s' failed with status %d", name,
			       WEXITSTATUS(status));
	return 0;
}

int net_spawn(const char *const argv[], int keep_fd, struct err *err)
{
	pid_t pid;
	int r = spawn_start(argv, keep_fd, &pid);

	if (r < 0)
		return err_code(err, r, "cannot run '%s'", argv[0]);
	return spawn_wait(argv[0], pid, err);
}

/* The descriptor in the one message that comes, or -errno. */
static int spawn_receive_fd(int sock)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };

	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	ssize_t n;
	int fd;

	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	c = CMSG_FIRSTHDR(&msg);
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(sizeof(int)))
		return -EPROTO;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

int net_bridge_helper(const char *helper, const char *br, struct err *err)
{
	char fd_arg[24], br_arg[64];
	const char *argv[] = { helper, "--use-vnet", fd_arg, br_arg, NULL };
	int sv[2], fd, r;
	pid_t pid;

	if (strlen(br) >= sizeof(br_arg) - sizeof("--br="))
		return err_set(err, -EINVAL, "bridge name '%s' is too long",
			       br);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return err_errno(err, "cannot create a socket pair");
	snprintf(fd_arg, sizeof(fd_arg), "--fd=%d", sv[1]);
	snprintf(br_arg, sizeof(br_arg), "--br=%s", br);
	r = spawn_start(argv, sv[1], &pid);
	close(sv[1]);
	if (r < 0) {
		close(sv[0]);
		return err_code(err, r, "cannot run bridge helper '%s'",
				helper);
	}
	fd = spawn_receive_fd(sv[0]);
	close(sv[0]);
	r = spawn_wait(helper, pid, err);
	if (r < 0 && fd >= 0)
		close(fd);
	if (r < 0)
		return err_wrap(err, "bridge '%s'", br);
	if (fd < 0)
		return err_code(err, fd, "bridge helper '%s' sent no tap",
				helper);
	return fd;
}
