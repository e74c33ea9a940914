/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * `vmon run --ssh-key`: a file's keys, the agent's, or one made for the
 * purpose.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/err.h"
#include "run/folder.h"
#include "run/internal.h"
#include "run/verbs.h"

/* Output goes to `out`, -1: nowhere.  The program's status, or -errno. */
static int keys_call(char *const *argv, int out)
{
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		dup2(null, STDIN_FILENO);
		dup2(out < 0 ? null : out, STDOUT_FILENO);
		if (out >= 0)
			dup2(null, STDERR_FILENO);
		execvp(argv[0], argv);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -EINTR;
}

/* The first of the names that ssh looks for. */
static char *keys_own(void)
{
	static const char *const names[] = { "id_ed25519", "id_ecdsa",
					     "id_rsa" };
	const char *home = getenv("HOME");

	for (size_t n = 0; home && n < ARRAY_SIZE(names); n++) {
		char *path = xprintf("%s/.ssh/%s.pub", home, names[n]);

		if (access(path, R_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

char *keys_made(void)
{
	struct err none = { 0 };

	return run_data_path("id_ed25519", &none);
}

static int keys_agent(struct run *r, struct err *err)
{
	char *const argv[] = { (char *)"ssh-add", (char *)"-L", NULL };
	int fd, status = 0;

	r->own_key = folder_path(run_called(r), "keys");
	if (!r->own_key)
		return err_set(err, -ENOENT,
			       "--ssh-key agent needs XDG_RUNTIME_DIR");
	r->ssh_key = r->own_key;
	if (r->dry_run)
		return 0;
	fd = open(r->own_key, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(err, "cannot make '%s'", r->own_key);
	status = keys_call(argv, fd);
	close(fd);
	if (status == 0)
		return 0;
	return err_set(err, -ENOENT,
		       status == 127 ? "--ssh-key agent needs ssh-add"
				     : "--ssh-key agent: it has no keys, or "
				       "there is none (ssh-add -L)");
}

/* Once for all machines of this user; vmon ssh knows it. */
static int keys_generate(struct run *r, struct err *err)
{
	char *path = run_data_path("id_ed25519", err);
	char *const argv[] = { (char *)"ssh-keygen", (char *)"-q",
			       (char *)"-t",         (char *)"ed25519",
			       (char *)"-N",         (char *)"",
			       (char *)"-C",         (char *)"vmon",
			       (char *)"-f",         path,
			       NULL };
	int status = 0;

	if (!path)
		return err->code;
	r->own_key = xprintf("%s.pub", path);
	r->ssh_key = r->own_key;
	if (!r->dry_run && access(path, F_OK) < 0) {
		run_make_folders(path);
		status = keys_call(argv, -1);
	}
	if (status)
		err_set(err, -ENOENT, "--ssh-key generate: %s '%s'",
			status == 127 ? "it needs ssh-keygen for"
				      : "ssh-keygen has not made",
			path);
	free(path);
	return status ? err->code : 0;
}

int run_keys(struct run *r, struct err *err)
{
	if (r->ssh_key && !strcmp(r->ssh_key, "agent"))
		return keys_agent(r, err);
	if (r->ssh_key && !strcmp(r->ssh_key, "generate"))
		return keys_generate(r, err);
	if (!r->meta_data && !r->ssh_key && !r->password && !r->user_data &&
	    !r->ignition)
		r->ssh_key = r->own_key = keys_own();
	return 0;
}
