/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Unix and TCP sockets, listening or connecting, optionally telnet.
 *
 * One peer at a time.  A listening socket tells a second client so and
 * closes it, unless the first one is only waiting to be noticed as gone.
 * When a peer ends its side, what it still gets is sent first (SOCKET_LINGER
 * at most), so that "command, then half-close" is answered.
 *
 * Locking: chardev/internal.h; telnet.reply and iac_sent by out_lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chardev/addr.h"
#include "chardev/internal.h"
#include "chardev/telnet.h"
#include "lib/alloc.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/fdset.h"
#include "lib/log.h"
#include "lib/parse.h"
#include "lib/work.h"

#define SOCKET_LINGER_NS  (5 * NS_PER_S)
#define SOCKET_RETRY_NS   NS_PER_S /* after accept() ran out of something */
#define SOCKET_CONNECT_MS 3000     /* one attempt to connect again */

struct chr_socket {
	struct chardev chr;
	struct chr_fd io;

	/* Options. */
	char *path, *host, *port, *fd_name;
	u16 to;
	bool ipv4, ipv6, abstract, tight;
	bool server, wait, telnet_on, nodelay, delay, replay;
	u64 reconnect_s, reconnect_ms;

	int listen_fd;
	struct watch listen_watch;
	struct timer linger; /* closes a peer that has ended its side */
	struct timer retry;  /* connects, or listens, again */
	struct dial *dial;   /* in a worker now; borrowed */
	bool ended;          /* peer ended its side, output is on its way */
	struct stat bound;   /* the socket file, to remove only our own */
	bool have_bound;

	struct telnet telnet;
	u8 iac_sent; /* bytes of a doubled IAC that are out */
};

/* One attempt to connect, in a worker.  Outlives its chardev if need be. */
struct dial {
	struct work work;
	struct chr_socket *owner; /* NULL: nobody waits any more */
	struct addr addr;
	char *path, *host, *port; /* owned, behind addr */
	int fd;
};

static const struct option_row socket_options[] = {
	{ "path", &opt_str, offsetof(struct chr_socket, path), NULL,
	  "Unix socket", NULL },
	{ "host", &opt_str, offsetof(struct chr_socket, host), NULL,
	  "TCP address; empty: any", NULL },
	{ "port", &opt_str, offsetof(struct chr_socket, port), NULL, "TCP port",
	  NULL },
	{ "to", &opt_u16, offsetof(struct chr_socket, to), NULL,
	  "last port to try when listening", NULL },
	{ "ipv4", &opt_bool, offsetof(struct chr_socket, ipv4), "off",
	  "only IPv4", NULL },
	{ "ipv6", &opt_bool, offsetof(struct chr_socket, ipv6), "off",
	  "only IPv6", NULL },
	{ "abstract", &opt_bool, offsetof(struct chr_socket, abstract), "off",
	  "path is an abstract name", NULL },
	{ "tight", &opt_bool, offsetof(struct chr_socket, tight), "on",
	  "abstract name without padding", NULL },
	{ "fd", &opt_str, offsetof(struct chr_socket, fd_name), NULL,
	  "number of an open socket", NULL },
	{ "server", &opt_bool, offsetof(struct chr_socket, server), "off",
	  "listen instead of connecting", NULL },
	{ "wait", &opt_bool, offsetof(struct chr_socket, wait), "on",
	  "start only when a client is there", NULL },
	{ "telnet", &opt_bool, offsetof(struct chr_socket, telnet_on), "off",
	  "speak telnet", NULL },
	{ "nodelay", &opt_bool, offsetof(struct chr_socket, nodelay), "off",
	  "send small packets at once", NULL },
	{ "delay", &opt_bool, offsetof(struct chr_socket, delay), "on",
	  "opposite of nodelay", NULL },
	{ "replay", &opt_bool, offsetof(struct chr_socket, replay), "off",
	  "tell each client first what it has missed, at most 64 KiB", NULL },
	{ "reconnect", &opt_u64, offsetof(struct chr_socket, reconnect_s), "0",
	  "seconds until connecting again; 0: never", NULL },
	{ "reconnect-ms", &opt_u64, offsetof(struct chr_socket, reconnect_ms),
	  "0", "the same in milliseconds", NULL },
	OPTION_END,
};

static struct addr socket_addr(const struct chr_socket *s)
{
	return (struct addr){ .path = s->path,
			      .abstract = s->abstract,
			      .tight = s->tight,
			      .host = s->host,
			      .port = s->port,
			      .port_to = s->to,
			      .ipv4 = s->ipv4,
			      .ipv6 = s->ipv6 };
}

/* ----------------------------------------------------------- one peer */

static void socket_retry_later(struct chr_socket *s)
{
	u64 ns = s->reconnect_ms * NS_PER_MS;

	if (!s->server && ns)
		timer_set(&s->retry, clock_mono_ns() + ns);
}

static void socket_disconnect(struct chr_socket *s)
{
	timer_cancel(&s->linger);
	s->ended = false;
	if (!chr_fd_active(&s->io))
		return;
	chr_fd_close(&s->io);
	chr_output_clear(&s->chr);
	chr_event(&s->chr, CHR_CLOSED);
	watch_set(&s->listen_watch, LOOP_IN);
	socket_retry_later(s);
}

static void socket_linger_over(void *arg)
{
	socket_disconnect(arg);
}

/* No more input.  Later, because output and callers are still at work. */
static void socket_ended(struct chardev *chr, int code)
{
	struct chr_socket *s = (struct chr_socket *)chr;
	bool rest = code == 0 && chr_queued(chr);

	s->ended = true;
	timer_set(&s->linger, rest ? clock_mono_ns() + SOCKET_LINGER_NS : 0);
}

/* Protocol bytes go between, never into, a doubled IAC. */
static void socket_send_reply(struct chr_socket *s)
{
	ssize_t n;

	if (!s->telnet.reply.len || s->iac_sent)
		return;
	n = chr_fd_write(&s->io, (const u8 *)s->telnet.reply.data,
			 s->telnet.reply.len);
	if (n != 0)
		buf_consume(&s->telnet.reply,
			    n < 0 ? s->telnet.reply.len : (size_t)n);
}

static size_t socket_filter(struct chardev *chr, u8 *data, size_t len)
{
	struct chr_socket *s = (struct chr_socket *)chr;
	u32 breaks;

	lock_acquire(&chr->out_lock);
	len = telnet_input(&s->telnet, data, len, &breaks);
	socket_send_reply(s);
	lock_release(&chr->out_lock);
	while (breaks--)
		chr_event(chr, CHR_BREAK);
	return len;
}

/* Takes over a connected socket. */
static int socket_connected(struct chr_socket *s, int fd)
{
	int on = s->nodelay || !s->delay, r;

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	/* Fails on Unix sockets, which do not delay. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	s->io.filter = s->telnet_on ? socket_filter : NULL;
	s->ended = false;
	if (s->replay)
		chr_queue_tail(&s->chr); /* what comes now goes behind it */
	r = chr_fd_start(&s->io, fd, fd);
	if (r < 0) {
		chr_output_clear(&s->chr);
		close(fd);
		return r;
	}
	lock_acquire(&s->chr.out_lock);
	s->iac_sent = 0;
	if (s->telnet_on)
		telnet_start(&s->telnet);
	socket_send_reply(s);
	lock_release(&s->chr.out_lock);
	chr_event(&s->chr, CHR_OPENED);
	chr_fd_update(&s->io);
	chr_flush(&s->chr);
	return 0;
}

static ssize_t socket_write_telnet(struct chr_socket *s, const u8 *data,
				   size_t len)
{
	static const u8 pair[] = { TELNET_IAC, TELNET_IAC };
	size_t done = 0;
	ssize_t n = 0;

	socket_send_reply(s);
	if (s->telnet.reply.len && !s->iac_sent)
		return 0;
	while (done < len) {
		const u8 *iac = memchr(data + done, TELNET_IAC, len - done);
		size_t run = (iac ? iac : data + len) - (data + done);

		if (run) {
			n = chr_fd_write(&s->io, data + done, run);
			done += MAX(n, 0);
		} else {
			run = sizeof(pair) - s->iac_sent;
			n = chr_fd_write(&s->io, pair + s->iac_sent, run);
			s->iac_sent = (s->iac_sent + MAX(n, 0)) % 2;
			done += n > 0 && !s->iac_sent;
		}
		if (n < (ssize_t)run)
			break;
	}
	return done || n >= 0 ? (ssize_t)done : n;
}

static ssize_t socket_write(struct chardev *chr, const u8 *data, size_t len)
{
	struct chr_socket *s = (struct chr_socket *)chr;

	if (s->telnet_on)
		return socket_write_telnet(s, data, len);
	return chr_fd_write(&s->io, data, len);
}

static void socket_poll_output(struct chardev *chr, bool on)
{
	struct chr_socket *s = (struct chr_socket *)chr;

	chr_fd_poll_output(&s->io, on);
	if (!on && s->ended)
		timer_set(&s->linger, 0);
}

static void socket_accept_input(struct chardev *chr)
{
	struct chr_socket *s = (struct chr_socket *)chr;

	chr_fd_update(&s->io);
}

static int socket_take_fd(struct chardev *chr)
{
	return chr_fd_take(&((struct chr_socket *)chr)->io);
}

/* ---------------------------------------------------------- listening */

static bool socket_peer_gone(struct chr_socket *s)
{
	struct pollfd p = { .fd = s->io.in, .events = POLLRDHUP };

	return s->ended || (poll(&p, 1, 0) > 0 &&
			    p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static void socket_refuse(struct chr_socket *s, int fd)
{
	char line[128], drop[1024];
	int len = snprintf(line, sizeof(line),
			   "'%.64s' is in use by another client\r\n",
			   s->chr.label);

	if (send(fd, line, len, MSG_DONTWAIT | MSG_NOSIGNAL) == len) {
		/* Unread input would turn close() into a reset. */
		shutdown(fd, SHUT_WR);
		while (recv(fd, drop, sizeof(drop), MSG_DONTWAIT) ==
		       sizeof(drop))
			;
	}
	close(fd);
}

static void socket_on_client(void *arg, u32 events)
{
	struct chr_socket *s = arg;
	int fd;

	if (chr_fd_active(&s->io) && socket_peer_gone(s)) {
		/* The new client waits until the old one's input is used. */
		watch_set(&s->listen_watch, 0);
		if (!timer_armed(&s->linger))
			timer_set(&s->linger,
				  clock_mono_ns() + SOCKET_LINGER_NS);
		return;
	}
	fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0 && chr_fd_active(&s->io)) {
		socket_refuse(s, fd);
	} else if (fd >= 0) {
		socket_connected(s, fd);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		watch_set(&s->listen_watch, 0);
		timer_set(&s->retry, clock_mono_ns() + SOCKET_RETRY_NS);
	}
}

static void socket_interrupted(int number)
{
}

/* Until a client is there, or the user has enough of waiting: the signals
 * that the loop would take (vmm/signals.c) interrupt with -EINTR. */
static int socket_await_client(int fd)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = socket_interrupted };
	struct sigaction old[ARRAY_SIZE(signals)];
	struct pollfd p = { .fd = fd, .events = POLLIN };
	sigset_t mask;
	int r;

	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		sigaction(signals[i], &action, &old[i]);
		if (old[i].sa_handler == SIG_IGN)
			sigaction(signals[i], &old[i], NULL);
		sigdelset(&mask, signals[i]);
	}
	r = ppoll(&p, 1, NULL, &mask) < 0 ? -errno : 0;
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &old[i], NULL);
	return r;
}

static int socket_wait_client(struct chr_socket *s, struct err *err)
{
	struct buf name = { 0 };
	int fd, r;

	chr_filename(&s->chr, &name);
	log_info("waiting for connection on: %s", buf_str(&name));
	buf_fini(&name);
	r = socket_await_client(s->listen_fd);
	if (r < 0)
		return err_code(err, r, "no client for '%s'", s->chr.label);
	fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return err_errno(err, "no client for '%s'", s->chr.label);
	return socket_connected(s, fd);
}

static int socket_listen(struct chr_socket *s, int fd, struct err *err)
{
	int r;

	if (fd < 0) {
		struct addr addr = socket_addr(s);

		fd = addr_listen(&addr, err);
		if (fd < 0)
			return fd;
		s->have_bound = s->path && !s->abstract &&
				stat(s->path, &s->bound) == 0;
	}
	s->listen_fd = fd;
	if (s->wait) {
		r = socket_wait_client(s, err);
		if (r < 0)
			return r;
	}
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	r = watch_add(&s->listen_watch, s->chr.loop, fd, LOOP_IN,
		      socket_on_client, s);
	return r < 0 ? err_code(err, r, "cannot watch a socket") : 0;
}

/* --------------------------------------------------------- connecting */

static void dial_run(struct work *w)
{
	struct dial *d = container_of(w, struct dial, work);

	d->fd = addr_connect(&d->addr, SOCKET_CONNECT_MS, NULL);
}

static void dial_done(struct work *w)
{
	struct dial *d = container_of(w, struct dial, work);
	struct chr_socket *s = d->owner;

	if (s)
		s->dial = NULL;
	if (s && d->fd >= 0 && socket_connected(s, d->fd) == 0)
		d->fd = -1;
	else if (s)
		socket_retry_later(s);
	if (!s && d->fd >= 0)
		close(d->fd);
	free(d->path);
	free(d->host);
	free(d->port);
	free(d);
}

static void socket_dial(struct chr_socket *s)
{
	struct dial *d = xalloc(sizeof(*d));

	d->owner = s;
	d->addr = socket_addr(s);
	d->addr.path = d->path = xstrdup(s->path);
	d->addr.host = d->host = xstrdup(s->host);
	d->addr.port = d->port = xstrdup(s->port);
	d->work.run = dial_run;
	d->work.done = dial_done;
	d->work.loop = s->chr.loop;
	s->dial = d;
	work_submit(&d->work);
}

static void socket_on_retry(void *arg)
{
	struct chr_socket *s = arg;

	if (s->server)
		watch_set(&s->listen_watch, LOOP_IN);
	else if (!s->dial && !chr_fd_active(&s->io))
		socket_dial(s);
}

static int socket_connect(struct chr_socket *s, int fd, struct err *err)
{
	struct addr addr = socket_addr(s);
	int r;

	if (fd < 0 && s->reconnect_ms) {
		socket_dial(s);
		return 0;
	}
	if (fd < 0)
		fd = addr_connect(&addr, -1, err);
	if (fd < 0)
		return fd;
	r = socket_connected(s, fd);
	return r < 0 ? err_code(err, r, "cannot watch a socket") : 0;
}

/* --------------------------------------------------------- life cycle */

static int socket_given_fd(struct chr_socket *s, struct err *err)
{
	struct stat st;
	int named;
	u64 fd;

	if (!s->fd_name)
		return -1;
	named = fdset_take(s->fd_name);
	if (named >= 0)
		fd = (u64)named;
	if ((named < 0 && parse_u64(s->fd_name, &fd) < 0) || fd > INT32_MAX ||
	    fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode)) {
		if (named >= 0)
			close(named);
		err_set(err, -EBADF, "'%s' is not an open socket", s->fd_name);
		return -EBADF;
	}
	return fd;
}

static int socket_open(struct chardev *chr, struct err *err)
{
	struct chr_socket *s = (struct chr_socket *)chr;
	int fd;

	chr_fd_init(&s->io, chr, socket_ended);
	timer_init(&s->linger, chr->loop, socket_linger_over, s);
	timer_init(&s->retry, chr->loop, socket_on_retry, s);
	s->listen_fd = -1;
	if (!s->reconnect_ms)
		s->reconnect_ms = MIN(s->reconnect_s, 1ull << 32) * 1000;
	if (s->server && s->reconnect_ms)
		return err_set(err, -EINVAL,
			       "'reconnect' option is incompatible with "
			       "socket in server listen mode");
	if (!s->path + !s->port + !s->fd_name != 2)
		return err_set(err, -EINVAL,
			       "chardev: socket: needs one of path, port and "
			       "fd");
	if (s->telnet_on && s->path)
		return err_set(err, -EINVAL,
			       "chardev: socket: telnet needs a TCP socket");
	fd = socket_given_fd(s, err);
	if (fd < -1)
		return fd;
	return s->server ? socket_listen(s, fd, err)
			 : socket_connect(s, fd, err);
}

static void socket_close(struct chardev *chr)
{
	struct chr_socket *s = (struct chr_socket *)chr;
	struct stat st;

	if (!s->io.chr)
		return;
	timer_cancel(&s->linger);
	timer_cancel(&s->retry);
	watch_remove(&s->listen_watch);
	chr_fd_close(&s->io);
	if (s->dial)
		s->dial->owner = NULL;
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	if (s->have_bound && stat(s->path, &st) == 0 &&
	    st.st_ino == s->bound.st_ino && st.st_dev == s->bound.st_dev)
		unlink(s->path);
	telnet_fini(&s->telnet);
}

static void socket_filename(struct chardev *chr, struct buf *out)
{
	struct chr_socket *s = (struct chr_socket *)chr;
	const char *kind = s->path ? "unix" : s->telnet_on ? "telnet" : "tcp";
	bool connected = chr_fd_active(&s->io);
	struct buf local = { 0 };

	if (s->listen_fd >= 0)
		addr_print(s->listen_fd, true, &local);
	buf_printf(out, "%s%s:", connected ? "" : "disconnected:", kind);
	if (s->path)
		buf_puts(out, s->path);
	else if (local.len)
		buf_puts(out, buf_str(&local));
	else
		buf_printf(out, "%s:%s", s->host ? s->host : "",
			   s->port ? s->port : "");
	if (s->server)
		buf_puts(out, ",server=on");
	if (connected && !s->path) {
		buf_puts(out, " <-> ");
		addr_print(s->io.in, false, out);
	}
	buf_fini(&local);
}

static int socket_descriptor(struct chardev *chr)
{
	return ((struct chr_socket *)chr)->io.in;
}

static bool socket_window(struct chardev *chr, u32 *ret_columns, u32 *ret_rows)
{
	const struct telnet *t = &((struct chr_socket *)chr)->telnet;

	*ret_columns = t->columns;
	*ret_rows = t->rows;
	return t->columns;
}

static void socket_hang_up(struct chardev *chr)
{
	socket_ended(chr, 0);
}

const struct chardev_class socket_chardev_class = {
	.name = "socket",
	.desc = "Unix or TCP socket",
	.size = sizeof(struct chr_socket),
	.options = socket_options,
	.open = socket_open,
	.close = socket_close,
	.write = socket_write,
	.poll_output = socket_poll_output,
	.accept_input = socket_accept_input,
	.take_fd = socket_take_fd,
	.descriptor = socket_descriptor,
	.window = socket_window,
	.hang_up = socket_hang_up,
	.filename = socket_filename,
};
