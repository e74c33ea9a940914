/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Makes a tap interface, puts it on a bridge and passes its descriptor to
 * the caller over a unix socket.  Meant to be installed setuid root, for
 * callers who may not make interfaces: which bridges they may use stands in
 * a file that root owns.
 *
 * Everything but the opening of the tun device happens as the calling user
 * with CAP_NET_ADMIN alone; a rule file that the user cannot read does not
 * exist for him, so `include` can give rules per user or group.
 *
 * Uses nothing of vmon, so that there is little to trust.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define INCLUDE_DEPTH_MAX 8

static const char *const rule_files[] = {
	"/etc/vmon/bridge.conf",
	"/etc/qemu/bridge.conf", /* same syntax; when the first is missing */
};

struct request {
	const char *bridge;
	int sock;
	bool vnet;
};

struct verdict {
	bool allowed, denied;
};

static void __attribute__((noreturn, format(printf, 1, 2)))
fail(const char *fmt, ...)
{
	va_list ap;

	fputs("vmon-bridge-helper: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

/* ---- privilege ---- */

static void drop_privilege(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3
	};
	struct __user_cap_data_struct caps[2] = {
		{ .effective = 1u << CAP_NET_ADMIN,
		  .permitted = 1u << CAP_NET_ADMIN },
	};
	gid_t gid = getgid();
	uid_t uid = getuid();

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 ||
	    setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0 ||
	    syscall(SYS_capset, &head, caps) < 0)
		fail("cannot drop privilege: %s", strerror(errno));
}

/* ---- rules ---- */

static void read_rules(const char *path, const char *bridge, int depth,
		       struct verdict *v);

/* "allow NAME|all", "deny NAME|all", "include PATH". */
static void apply_rule(char *line, const char *path, int number,
		       const char *bridge, int depth, struct verdict *v)
{
	char *save, *word, *arg;

	line[strcspn(line, "#\n")] = '\0';
	word = strtok_r(line, " \t\r", &save);
	if (!word)
		return;
	arg = strtok_r(NULL, " \t\r", &save);
	if (!arg || strtok_r(NULL, " \t\r", &save))
		fail("%s:%d: a rule is a word and a name", path, number);
	if (!strcmp(word, "include")) {
		if (depth < INCLUDE_DEPTH_MAX)
			read_rules(arg, bridge, depth + 1, v);
	} else if (!strcmp(word, "allow")) {
		v->allowed |= !strcmp(arg, "all") || !strcmp(arg, bridge);
	} else if (!strcmp(word, "deny")) {
		v->denied |= !strcmp(arg, "all") || !strcmp(arg, bridge);
	} else {
		fail("%s:%d: unknown word '%s'", path, number, word);
	}
}

static FILE *open_rules(const char *path)
{
	FILE *f = fopen(path, "re");
	struct stat st;

	if (!f)
		return NULL;
	if (fstat(fileno(f), &st) < 0 || !S_ISREG(st.st_mode))
		fail("%s is not a file", path);
	if (st.st_uid != 0 || (st.st_mode & S_IWOTH))
		fail("%s must belong to root and not be open to others", path);
	return f;
}

/* A missing or unreadable include says nothing. */
static void read_rules(const char *path, const char *bridge, int depth,
		       struct verdict *v)
{
	FILE *f = open_rules(path);
	char line[512];

	if (!f)
		return;
	for (int n = 1; fgets(line, sizeof(line), f); n++) {
		if (!strchr(line, '\n') && !feof(f))
			fail("%s:%d: line too long", path, n);
		apply_rule(line, path, n, bridge, depth, v);
	}
	fclose(f);
}

/* Whatever says no wins; silence means no. */
static void check_rules(const char *bridge)
{
	struct verdict v = { false, false };
	size_t i = 0;

	while (i < sizeof(rule_files) / sizeof(*rule_files) - 1 &&
	       access(rule_files[i], F_OK) < 0)
		i++;
	read_rules(rule_files[i], bridge, 0, &v);
	if (v.denied || !v.allowed)
		fail("%s does not allow bridge '%s'", rule_files[i], bridge);
}

/* ---- interfaces ---- */

static void tap_ioctl(int sock, unsigned long request, struct ifreq *ifr,
		      const char *what)
{
	if (ioctl(sock, request, ifr) < 0)
		fail("cannot %s '%s': %s", what, ifr->ifr_name,
		     strerror(errno));
}

static void tap_create(int tun, bool vnet, char name[IFNAMSIZ])
{
	struct ifreq ifr = { .ifr_name = "tap%d",
			     .ifr_flags = IFF_TAP | IFF_NO_PI };
	unsigned int features = 0;

	if (vnet && ioctl(tun, TUNGETFEATURES, &features) == 0)
		ifr.ifr_flags |= features & IFF_VNET_HDR;
	tap_ioctl(tun, TUNSETIFF, &ifr, "create");
	memcpy(name, ifr.ifr_name, IFNAMSIZ);
}

/* The bridge takes the lowest address of its ports: make the tap's high. */
static void tap_join(int sock, const char *tap, const char *bridge)
{
	struct ifreq t = { 0 }, b = { 0 };

	strcpy(t.ifr_name, tap);
	strcpy(b.ifr_name, bridge);
	tap_ioctl(sock, SIOCGIFMTU, &b, "read the MTU of");
	t.ifr_mtu = b.ifr_mtu;
	tap_ioctl(sock, SIOCSIFMTU, &t, "set the MTU of");
	tap_ioctl(sock, SIOCGIFHWADDR, &t, "read the address of");
	t.ifr_hwaddr.sa_data[0] = (char)0xfe;
	tap_ioctl(sock, SIOCSIFHWADDR, &t, "set the address of");
	b.ifr_ifindex = (int)if_nametoindex(tap);
	tap_ioctl(sock, SIOCBRADDIF, &b, "add a port to");
	tap_ioctl(sock, SIOCGIFFLAGS, &t, "read the flags of");
	t.ifr_flags |= IFF_UP;
	tap_ioctl(sock, SIOCSIFFLAGS, &t, "start");
}

static void pass_descriptor(int sock, int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };

	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = &control,
			      .msg_controllen = sizeof(control) };

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	if (sendmsg(sock, &msg, MSG_NOSIGNAL) != 1)
		fail("cannot pass the descriptor: %s", strerror(errno));
}

/* ---- arguments ---- */

static void check_name(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len >= IFNAMSIZ || !strcmp(name, ".") ||
	    !strcmp(name, ".."))
		fail("'%s' is no name of a bridge", name);
	for (size_t i = 0; i < len; i++) {
		if (name[i] == '/' || isspace((unsigned char)name[i]))
			fail("'%s' is no name of a bridge", name);
	}
}

static void check_socket(int fd)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);

	if (getsockname(fd, (struct sockaddr *)&addr, &len) < 0 ||
	    addr.ss_family != AF_UNIX)
		fail("descriptor %d is no unix socket", fd);
}

static void parse_arguments(int argc, char **argv, struct request *r)
{
	char *end;

	r->sock = -1;
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--use-vnet")) {
			r->vnet = true;
		} else if (!strncmp(argv[i], "--br=", 5)) {
			r->bridge = argv[i] + 5;
		} else if (!strncmp(argv[i], "--fd=", 5)) {
			long fd = strtol(argv[i] + 5, &end, 10);

			r->sock = *end || fd < 0 || fd > 1 << 20 ? -1 : (int)fd;
		} else {
			fail("unknown argument '%s'", argv[i]);
		}
	}
	if (!r->bridge || r->sock < 0)
		fail("usage: vmon-bridge-helper [--use-vnet] --br=BRIDGE "
		     "--fd=UNIX-SOCKET");
	check_name(r->bridge);
	check_socket(r->sock);
}

int main(int argc, char **argv)
{
	int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	int error = errno;
	struct request r = { 0 };
	char tap[IFNAMSIZ];
	int sock;

	drop_privilege();
	parse_arguments(argc, argv, &r);
	check_rules(r.bridge);
	if (tun < 0)
		fail("cannot open /dev/net/tun: %s", strerror(error));
	sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sock < 0)
		fail("cannot create a socket: %s", strerror(errno));
	tap_create(tun, r.vnet, tap);
	tap_join(sock, tap, r.bridge);
	pass_descriptor(r.sock, tun);
	return 0;
}
