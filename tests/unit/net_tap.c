/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Taps and bridges against the kernel, in a network namespace of their own.
 * Needs root and /dev/net/tun.
 */
#include "net/tap.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if_arp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/bytes.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/loop.h"

#define HOST_IP  0xc0000201u /* 192.0.2.1 */
#define GUEST_IP 0xc0000202u
#define NOBODY   65534

struct guest {
	struct net_port port;
	u8 mac[6];
	int room;
	int nframes;

	struct {
		u8 data[4096];
		size_t len;
		struct virtio_net_hdr hdr;
	} frame[64];
};

static struct loop *loop;
static struct guest guest;
static char helper[512];

static bool guest_receive(struct net_port *p, const struct net_frame *f)
{
	struct guest *g = container_of(p, struct guest, port);

	if (g->nframes == g->room)
		return false;
	g->frame[g->nframes].len = net_frame_copy(f, g->frame[g->nframes].data,
						  sizeof(g->frame[0].data));
	g->frame[g->nframes].hdr = f->hdr;
	g->nframes++;
	return true;
}

static const struct net_port_ops guest_ops = { .receive = guest_receive };

static struct netdev *make(const char *text, struct err *err)
{
	struct netdev *nd;
	struct opts o;

	ck_assert_int_eq(opts_parse(&o, text, "type", err), 0);
	nd = netdev_create(loop, &o, err);
	opts_fini(&o);
	return nd;
}

static struct netdev *plug(const char *text)
{
	struct err err = { 0 };
	struct netdev *nd = make(text, &err);

	ck_assert_msg(nd, "%s", err.msg);
	ck_assert_int_eq(net_nic_init(&guest.port, &guest_ops, "test", NULL,
				      guest.mac, nd, NULL),
			 0);
	return nd;
}

static void setup(void)
{
	ck_assert_int_eq(unshare(CLONE_NEWNET | CLONE_NEWNS), 0);
	ck_assert_int_eq(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL),
			 0);
	ck_assert_int_eq(mount("none", "/etc", "tmpfs", 0, NULL), 0);
	loop = loop_create();
	ck_assert_ptr_nonnull(loop);
	guest.room = ARRAY_SIZE(guest.frame);
}

static void teardown(void)
{
	net_nic_fini(&guest.port);
	net_remove_all();
	loop_destroy(loop);
}

/* ---- the host's end ---- */

static void config(unsigned long request, struct ifreq *ifr)
{
	int sock = socket(AF_INET, SOCK_DGRAM, 0);

	ck_assert_msg(ioctl(sock, request, ifr) == 0, "ioctl %lx of %s: %s",
		      request, ifr->ifr_name, strerror(errno));
	close(sock);
}

static void bring_up(const char *name, u32 ip)
{
	struct ifreq ifr = { 0 };
	struct sockaddr_in *a = (struct sockaddr_in *)&ifr.ifr_addr;

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	a->sin_family = AF_INET;
	a->sin_addr.s_addr = htonl(ip);
	config(SIOCSIFADDR, &ifr);
	a->sin_addr.s_addr = htonl(0xffffff00);
	config(SIOCSIFNETMASK, &ifr);
	config(SIOCGIFFLAGS, &ifr);
	ifr.ifr_flags |= IFF_UP;
	config(SIOCSIFFLAGS, &ifr);
}

/* Neighbour entry, so that UDP to the guest needs no ARP. */
static void know_guest(const char *name)
{
	struct arpreq req = { 0 };
	struct sockaddr_in *a = (struct sockaddr_in *)&req.arp_pa;
	int sock = socket(AF_INET, SOCK_DGRAM, 0);

	a->sin_family = AF_INET;
	a->sin_addr.s_addr = htonl(GUEST_IP);
	req.arp_ha.sa_family = 1; /* Ethernet */
	memcpy(req.arp_ha.sa_data, guest.mac, 6);
	req.arp_flags = 0x02 | 0x04; /* complete, permanent */
	snprintf(req.arp_dev, sizeof(req.arp_dev), "%s", name);
	ck_assert_int_eq(ioctl(sock, SIOCSARP, &req), 0);
	close(sock);
}

static int udp_socket(u16 port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(HOST_IP) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	ck_assert_int_eq(bind(fd, (void *)&a, sizeof(a)), 0);
	return fd;
}

/* The kernel takes its time to deliver on a busy host. */
static ssize_t receive(int fd, char *text, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	ck_assert_int_eq(poll(&p, 1, 10000), 1);
	return recv(fd, text, size, 0);
}

static void host_sends(int fd, const char *text)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(9),
				 .sin_addr.s_addr = htonl(GUEST_IP) };

	ck_assert_int_eq(
		sendto(fd, text, strlen(text), 0, (void *)&a, sizeof(a)),
		(int)strlen(text));
}

/* ---- the guest's end ---- */

static void guest_sends(const u8 *data, size_t len,
			const struct virtio_net_hdr *hdr)
{
	/* In two parts, as drivers do. */
	struct iovec iov[2] = { { (void *)data, 14 },
				{ (void *)(data + 14), len - 14 } };
	struct net_frame f = { iov, 2, len, { 0 } };

	if (hdr)
		f.hdr = *hdr;
	net_send(&guest.port, &f);
}

static void guest_asks_arp(void)
{
	static const u8 head[] = { 8, 6, 0, 1, 8, 0, 6, 4, 0, 1 };
	u8 f[60] = { 0 };

	memset(f, 0xff, 6);
	memcpy(f + 6, guest.mac, 6);
	memcpy(f + 12, head, sizeof(head));
	memcpy(f + 22, guest.mac, 6);
	put_be32(f + 28, GUEST_IP);
	put_be32(f + 38, HOST_IP);
	guest_sends(f, sizeof(f), NULL);
}

/* Runs the loop until a frame of this Ethernet type (and UDP destination
 * port) came; its index or -1. */
static int await(u16 type, u16 port)
{
	u64 end = clock_mono_ns() + 10 * NS_PER_S;
	int seen = 0;

	while (clock_mono_ns() < end) {
		for (; seen < guest.nframes; seen++) {
			const u8 *d = guest.frame[seen].data;

			if (get_be16(d + 12) == type &&
			    (!port || get_be16(d + 36) == port))
				return seen;
		}
		loop_once(loop, 10 * NS_PER_MS);
	}
	return -1;
}

static void expect_arp_answer(void)
{
	int i;

	guest_asks_arp();
	i = await(0x0806, 0);
	while (i >= 0 && get_be16(guest.frame[i].data + 20) != 2) {
		guest.nframes = 0;
		i = await(0x0806, 0);
	}
	ck_assert_int_ge(i, 0);
	ck_assert_uint_eq(get_be32(guest.frame[i].data + 28), HOST_IP);
}

static u32 sum16(u32 sum, const u8 *p, size_t len)
{
	for (size_t i = 0; i < len; i += 2)
		sum += p[i] << 8 | (i + 1 < len ? p[i + 1] : 0);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* A UDP datagram whose checksum is left to the host (only the pseudo header
 * is summed up). */
static size_t udp_unfinished(u8 *f, const u8 *dst, const char *text)
{
	size_t len = 8 + strlen(text);

	memset(f, 0, 42);
	memcpy(f, dst, 6);
	memcpy(f + 6, guest.mac, 6);
	put_be16(f + 12, 0x0800);
	f[14] = 0x45;
	put_be16(f + 16, 20 + len);
	f[22] = 64;
	f[23] = IPPROTO_UDP;
	put_be32(f + 26, GUEST_IP);
	put_be32(f + 30, HOST_IP);
	put_be16(f + 24, ~sum16(0, f + 14, 20));
	put_be16(f + 34, 9);
	put_be16(f + 36, 7000);
	put_be16(f + 38, len);
	put_be16(f + 40, sum16(IPPROTO_UDP + len, f + 26, 8));
	memcpy(f + 42, text, len - 8);
	return 34 + len;
}

/* ---- tests ---- */

START_TEST(tap_carries_frames_both_ways)
{
	struct buf out = { 0 };
	char text[16];
	int fd;

	plug("tap,id=t,ifname=vt0,script=no,downscript=no");
	net_info(&out);
	ck_assert_str_eq(buf_str(&out),
			 "test.0: index=0,type=nic,model=test,"
			 "macaddr=52:54:00:12:34:56\n"
			 " \\ t: index=0,type=tap,ifname=vt0,script=no,"
			 "downscript=no\n");
	buf_fini(&out);
	bring_up("vt0", HOST_IP);
	expect_arp_answer();
	know_guest("vt0");
	fd = udp_socket(7000);
	host_sends(fd, "ping");
	ck_assert_int_ge(await(0x0800, 9), 0);
	ck_assert_int_lt(recv(fd, text, sizeof(text), 0), 0);
	close(fd);
}

END_TEST

START_TEST(tap_finishes_checksums_for_the_guest)
{
	struct virtio_net_hdr hdr = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				      .csum_start = 34,
				      .csum_offset = 6 };
	struct netdev *nd = plug("tap,id=t,ifname=vt0,script=no");
	char text[16] = "";
	u8 f[256], dst[6];
	size_t len;
	int fd;

	ck_assert_msg(nd->port.vnet_hdr, "this kernel's taps have no header");
	bring_up("vt0", HOST_IP);
	expect_arp_answer();
	memcpy(dst, guest.frame[guest.nframes - 1].data + 22, 6);
	fd = udp_socket(7000);
	len = udp_unfinished(f, dst, "echo");
	/* As it stands the checksum is wrong, and the kernel says so. */
	guest_sends(f, len, NULL);
	ck_assert_int_lt(recv(fd, text, sizeof(text), 0), 0);
	guest_sends(f, len, &hdr);
	ck_assert_int_eq(receive(fd, text, sizeof(text)), 4);
	ck_assert_str_eq(text, "echo");
	/* Nonsense is dropped and hurts nobody. */
	hdr.csum_start = 60000;
	guest_sends(f, len, &hdr);
	hdr = (struct virtio_net_hdr){ .gso_type = 77, .gso_size = 0 };
	guest_sends(f, len, &hdr);
	ck_assert_int_lt(recv(fd, text, sizeof(text), 0), 0);
	close(fd);
}

END_TEST

START_TEST(tap_leaves_work_to_a_willing_guest)
{
	int fd, i;

	plug("tap,id=t,ifname=vt0,script=no");
	bring_up("vt0", HOST_IP);
	know_guest("vt0");
	fd = udp_socket(7000);
	host_sends(fd, "one");
	i = await(0x0800, 9);
	ck_assert_int_ge(i, 0);
	ck_assert_uint_eq(guest.frame[i].hdr.flags, 0);
	guest.nframes = 0;
	net_set_offloads(&guest.port, NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4);
	host_sends(fd, "two");
	i = await(0x0800, 9);
	ck_assert_int_ge(i, 0);
	ck_assert_uint_eq(guest.frame[i].hdr.flags,
			  VIRTIO_NET_HDR_F_NEEDS_CSUM);
	ck_assert_uint_eq(guest.frame[i].hdr.csum_start, 34);
	close(fd);
}

END_TEST

START_TEST(tap_waits_for_a_busy_guest)
{
	struct netdev *nd = plug("tap,id=t,ifname=vt0,script=no");
	char text[8];
	int fd;

	bring_up("vt0", HOST_IP);
	know_guest("vt0");
	fd = udp_socket(7000);
	guest.room = 0;
	for (int i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "%02d", i);
		host_sends(fd, text);
	}
	for (int i = 0; i < 20; i++)
		loop_once(loop, NS_PER_MS);
	ck_assert_int_eq(guest.nframes, 0);
	/* The frames stay in the kernel, not with us. */
	ck_assert_uint_eq(guest.port.queue.count, 0);
	ck_assert_uint_eq(guest.port.stats.rx_dropped, 0);
	guest.room = ARRAY_SIZE(guest.frame);
	net_port_ready(&guest.port);
	for (int next = 0; next < 20; next++) {
		int i = await(0x0800, 9);

		ck_assert_int_ge(i, 0);
		snprintf(text, sizeof(text), "%02d", next);
		ck_assert_mem_eq(guest.frame[i].data + 42, text, 2);
		put_be16(guest.frame[i].data + 12, 0); /* seen */
	}
	ck_assert(!nd->port.refused);
	close(fd);
}

END_TEST

START_TEST(tap_survives_its_interface)
{
	plug("tap,id=t,ifname=vt0,script=no");
	bring_up("vt0", HOST_IP);
	expect_arp_answer();
	ck_assert_int_eq(system("ip link delete vt0 2>/dev/null"), 0);
	guest_asks_arp();
	for (int i = 0; i < 5; i++)
		loop_once(loop, NS_PER_MS);
}

END_TEST

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	ck_assert_int_eq(chmod(path, mode), 0);
}

START_TEST(tap_scripts_see_the_name)
{
	char text[64] = "";
	struct err err = { 0 };
	FILE *f;

	write_file("/etc/up", "#!/bin/sh\necho up $1 >> /etc/log\n", 0755);
	write_file("/etc/down", "#!/bin/sh\necho down $1 >> /etc/log\n", 0755);
	plug("tap,id=t,script=/etc/up,downscript=/etc/down");
	net_nic_fini(&guest.port);
	ck_assert_int_eq(netdev_delete("t", &err), 0);
	f = fopen("/etc/log", "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_gt(fread(text, 1, sizeof(text) - 1, f), 0);
	fclose(f);
	ck_assert_str_eq(text, "up tap0\ndown tap0\n");
	write_file("/etc/up", "#!/bin/sh\nexit 3\n", 0755);
	ck_assert_ptr_null(make("tap,id=t,script=/etc/up", &err));
	ck_assert_str_eq(err.msg, "'/etc/up' failed with status 3");
	ck_assert_ptr_null(make("tap,id=t,script=/etc/none", &err));
	ck_assert_str_eq(err.msg, "cannot run '/etc/none': "
				  "No such file or directory");
}

END_TEST

START_TEST(tap_takes_an_open_descriptor)
{
	struct ifreq ifr = { .ifr_name = "vt7",
			     .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR);
	struct err err = { 0 };
	char text[64];

	ck_assert_int_eq(ioctl(fd, TUNSETIFF, &ifr), 0);
	snprintf(text, sizeof(text), "tap,id=t,fd=%d", fd);
	ck_assert(!plug(text)->port.vnet_hdr);
	bring_up("vt7", HOST_IP);
	expect_arp_answer();

	ck_assert_ptr_null(make("tap,id=u,fd=999", &err));
	ck_assert_str_eq(err.msg, "cannot use descriptor 999: "
				  "Bad file descriptor");
	fd = open("/dev/null", O_RDWR);
	snprintf(text, sizeof(text), "tap,id=u,fd=%d", fd);
	ck_assert_ptr_null(make(text, &err));
	ck_assert_ptr_nonnull(strstr(err.msg, "is not a tap interface"));
	ck_assert_ptr_null(make("tap,id=u,ifname=a234567890123456", &err));
	ck_assert_str_eq(err.msg,
			 "interface name 'a234567890123456' is too long");
	ck_assert_ptr_null(make("tap,id=u,ifname=vt7,script=no", &err));
	ck_assert_ptr_nonnull(strstr(err.msg, "cannot create or attach tap "
					      "'vt7': "));
}

END_TEST

/* ---- bridge ---- */

static void make_bridge(void)
{
	struct ifreq ifr = { .ifr_name = "vbr0" };
	int sock = socket(AF_INET, SOCK_DGRAM, 0);

	if (ioctl(sock, SIOCBRADDBR, ifr.ifr_name) < 0) {
		printf("bridge tests skipped: no bridge: %s\n",
		       strerror(errno));
		exit(0);
	}
	close(sock);
	bring_up("vbr0", HOST_IP);
	mkdir("/etc/vmon", 0755);
	mkdir("/etc/qemu", 0755);
}

static struct netdev *make_on_bridge(const char *br, struct err *err)
{
	char text[1024];

	snprintf(text, sizeof(text), "bridge,id=b,br=%s,helper=%s", br, helper);
	return make(text, err);
}

START_TEST(bridge_connects_to_the_host)
{
	struct buf out = { 0 };
	char text[1024];

	make_bridge();
	write_file("/etc/vmon/bridge.conf", "# ours\nallow vbr0\n", 0644);
	snprintf(text, sizeof(text), "bridge,id=b,br=vbr0,helper=%s", helper);
	plug(text);
	expect_arp_answer();
	net_info(&out);
	snprintf(text, sizeof(text),
		 " \\ b: index=0,type=tap,helper=%s,br=vbr0\n", helper);
	ck_assert_ptr_nonnull(strstr(buf_str(&out), text));
	buf_fini(&out);
}

END_TEST

static const struct {
	const char *file, *rules;
	mode_t mode;
	bool allowed;
} rules[] = {
	{ "/etc/vmon/bridge.conf", "", 0644, false },
	{ "/etc/vmon/bridge.conf", "allow other\n", 0644, false },
	{ "/etc/vmon/bridge.conf", "allow all\n", 0644, true },
	{ "/etc/vmon/bridge.conf", "allow all\ndeny vbr0\n", 0644, false },
	{ "/etc/vmon/bridge.conf", "deny all\nallow vbr0\n", 0644, false },
	{ "/etc/vmon/bridge.conf", "deny other\n allow\tvbr0 # x\n", 0644,
	  true },
	{ "/etc/vmon/bridge.conf", "allow\n", 0644, false },
	{ "/etc/vmon/bridge.conf", "permit all\n", 0644, false },
	{ "/etc/vmon/bridge.conf", "allow all\n", 0666, false },
	{ "/etc/vmon/bridge.conf", "include /etc/more\n", 0644, true },
	{ "/etc/vmon/bridge.conf", "include /etc/vmon/bridge.conf\n", 0644,
	  false },
	{ "/etc/qemu/bridge.conf", "allow vbr0\n", 0644, true },
};

START_TEST(bridge_rules_are_obeyed)
{
	struct err err = { 0 };
	struct netdev *nd;

	make_bridge();
	write_file("/etc/more", "allow vbr0\n", 0644);
	write_file(rules[_i].file, rules[_i].rules, rules[_i].mode);
	nd = make_on_bridge("vbr0", &err);
	ck_assert_msg(!!nd == rules[_i].allowed, "%s: %s", rules[_i].rules,
		      err.msg);
	if (!nd)
		ck_assert_ptr_nonnull(strstr(err.msg, "bridge 'vbr0': "));
}

END_TEST

START_TEST(bridge_names_are_checked)
{
	static const char *const names[] = { "../x", ".", "a b", "nosuch",
					     "a234567890123456" };
	struct err err;

	make_bridge();
	write_file("/etc/vmon/bridge.conf", "allow all\n", 0644);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		ck_assert_ptr_null(make_on_bridge(names[i], &err));
}

END_TEST

/* As installed: owned by root, setuid, run by a user without any rights. */
START_TEST(bridge_helper_serves_users)
{
	char text[1024];
	struct err err = { 0 };

	make_bridge();
	write_file("/etc/vmon/bridge.conf", "allow vbr0\ninclude /etc/secret\n",
		   0644);
	/* Not readable by the user: its rules are not for him. */
	write_file("/etc/secret", "deny all\n", 0600);
	snprintf(text, sizeof(text),
		 "cp %s /etc/helper && chmod 4755 /etc/helper", helper);
	ck_assert_int_eq(system(text), 0);
	ck_assert_int_eq(setresgid(NOBODY, NOBODY, NOBODY), 0);
	ck_assert_int_eq(setresuid(NOBODY, NOBODY, NOBODY), 0);
	ck_assert_ptr_null(make("tap,id=t,script=no", &err));
	plug("bridge,id=b,br=vbr0,helper=/etc/helper");
	expect_arp_answer();
	/* Without the bit it can do nothing. */
	ck_assert_ptr_null(make_on_bridge("vbr0", &err));
}

END_TEST

static bool can_run(void)
{
	int fd;

	if (geteuid() != 0) {
		puts("skipped: network namespaces need root");
		return false;
	}
	fd = open("/dev/net/tun", O_RDWR);
	if (fd < 0) {
		printf("skipped: /dev/net/tun: %s\n", strerror(errno));
		return false;
	}
	close(fd);
	return true;
}

int main(void)
{
	Suite *s = suite_create("net/tap");
	TCase *t = tcase_create("tap");
	SRunner *r;
	ssize_t n;
	int failed;

	if (!can_run())
		return 77;
	/* The helper lies in the build directory, one above the tests. */
	n = readlink("/proc/self/exe", helper, sizeof(helper) - 64);
	helper[n < 0 ? 0 : n] = '\0';
	strcpy(strrchr(helper, '/'), "/../vmon-bridge-helper");

	r = srunner_create(s);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 20);
	tcase_add_test(t, tap_carries_frames_both_ways);
	tcase_add_test(t, tap_finishes_checksums_for_the_guest);
	tcase_add_test(t, tap_leaves_work_to_a_willing_guest);
	tcase_add_test(t, tap_waits_for_a_busy_guest);
	tcase_add_test(t, tap_survives_its_interface);
	tcase_add_test(t, tap_scripts_see_the_name);
	tcase_add_test(t, tap_takes_an_open_descriptor);
	tcase_add_test(t, bridge_connects_to_the_host);
	tcase_add_loop_test(t, bridge_rules_are_obeyed, 0, ARRAY_SIZE(rules));
	tcase_add_test(t, bridge_names_are_checked);
	tcase_add_test(t, bridge_helper_serves_users);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
