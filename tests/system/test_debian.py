#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A whole Debian on a disk: login, network, power-off, reboot, the image."""
import hashlib
import http.server
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock

import vm
from test_net import Handler, banner, free_port

MIB = 1 << 20
NETWORK = ("-device", "virtio-net-pci,netdev=net0",
           "-device", "virtio-rng-pci")


def digest(path):
    """Of all that is not zero, and where."""
    sha = hashlib.sha256()
    zeros = bytes(MIB)
    with open(path, "rb") as f:
        size = f.seek(0, os.SEEK_END)
        for at in range(0, size, MIB):
            f.seek(at)
            data = f.read(MIB)
            if data != zeros:
                sha.update(b"%d:%d:" % (at, len(data)) + data)
    return f"{size} {sha.hexdigest()}"


def say(text):
    print(text, file=sys.stderr, flush=True)


class Debian(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.image = vm.debian_image()
        cls.dir = tempfile.mkdtemp(prefix="debian-", dir=vm.cache())
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        cls.disk = os.path.join(cls.dir, "disk.raw")
        subprocess.run(["cp", "--sparse=always", cls.image / "disk.raw",
                        cls.disk], check=True)
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                     Handler)
        threading.Thread(target=cls.server.serve_forever,
                         daemon=True).start()
        cls.addClassCleanup(cls.server.server_close)
        cls.addClassCleanup(cls.server.shutdown)

    def guest(self, *args, **kwargs):
        self.ssh = free_port()
        guest = vm.DebianVm(
            self.disk, "-netdev",
            f"user,id=net0,hostfwd=tcp:127.0.0.1:{self.ssh}-:22",
            *NETWORK, *args, **kwargs).start()
        self.addCleanup(guest.stop)
        return guest

    def check_network(self, guest):
        guest.run("for i in $(seq 100); do ip -4 route get 10.0.2.2 && break;"
                  " sleep 0.2; done", 60)
        port = self.server.server_port
        text = guest.run(
            f"exec 3<>/dev/tcp/10.0.2.2/{port}; "
            "printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; "
            f"tail -c {len(Handler.blob)} <&3 | sha256sum; exec 3>&-", 120)
        self.assertEqual(text.split()[0],
                         hashlib.sha256(Handler.blob).hexdigest())
        self.assertRegex(banner(self.ssh, 60), rb"^SSH-2\.0-OpenSSH")

    def check_ssh(self, guest):
        if not shutil.which("ssh"):
            return
        r = subprocess.run(
            ["ssh", "-F", "none", "-p", str(self.ssh), "-i",
             self.image / "id_vmon", "-o", "StrictHostKeyChecking=no",
             "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes",
             "root@127.0.0.1", "cat /proc/sys/kernel/hostname; dd "
             "if=/dev/zero bs=1M count=2 status=none | sha256sum"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=120 * vm.SLOW, check=False)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(r.stdout.split()[:2], [
            "vmon", hashlib.sha256(bytes(2 * MIB)).hexdigest()])

    def check_seed(self, guest):
        """As cloud-init finds it."""
        text = guest.run("mkdir /run/seed && mount -r -t vfat "
                         "/dev/disk/by-label/CIDATA /run/seed && "
                         "cat /run/seed/meta-data; umount /run/seed")
        self.assertEqual(text.split("\n")[:2], ['instance-id: "i-1"',
                                                'local-hostname: "seeded"'])

    def check_file_system(self):
        r = subprocess.run(["e2fsck", "-fn", self.disk], check=False,
                           capture_output=True, text=True)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)

    def check_units(self, guest):
        guest.run("timeout 300 systemctl is-system-running --wait", 310,
                  check=False)
        self.assertEqual(guest.run("systemctl --failed --no-legend "
                                   "--plain --no-pager"), "")

    def check_idle(self, guest):
        """What a guest that has nothing to do takes from the host."""
        time.sleep(3)
        guest.serial.poll(0)
        before = guest.usage()[1]
        start = time.monotonic()
        while time.monotonic() < start + 10:
            guest.serial.poll(0.5)
        share = (guest.usage()[1] - before) / (time.monotonic() - start)
        beside = guest.overhead() / MIB
        say(f"idle: {share:.1%} of a processor, {beside:.1f} MiB resident "
            "beside the guest's RAM")
        self.assertLess(share, 0.02)
        # 16, and what has been translated until now.
        self.assertLess(beside, 16 + 64)

    def test_1_disk_and_power_button(self):
        with unittest.mock.patch.dict(os.environ, XDG_RUNTIME_DIR=self.dir):
            guest = self.guest("-name", "debian", "-cloud-init",
                               "hostname=seeded,instance-id=i-1")
            guest.monitor("info name")  # the door is open when it answers
            waits = subprocess.Popen(
                [vm.program(), "ctl", "--timeout", str(int(600 * vm.SLOW)),
                 "debian", "wait", "login"], stdin=subprocess.DEVNULL)
        self.addCleanup(waits.wait)
        self.addCleanup(waits.kill)
        say(f"login prompt after {guest.login():.1f} s")
        self.assertEqual(waits.wait(30 * vm.SLOW), 0)
        self.check_network(guest)
        self.check_ssh(guest)
        self.check_seed(guest)
        self.check_units(guest)
        self.check_idle(guest)
        self.assertRegex(guest.monitor("info boot"),
                         r"(?s)vCPUs entered the kernel.*first output on "
                         r".*login prompt on ")
        guest.monitor("system_powerdown")
        self.assertEqual(guest.wait(180), 0)
        self.check_file_system()

    def test_2_killed_reboot_power_off(self):
        """What was synced survives kill -9; the image is free again."""
        guest = self.guest("-smp", 2)
        guest.login()
        data = "head -c 1000000 /bin/bash /usr/bin/bash"
        guest.run(f"{data} >/root/kept; sync")
        guest.process.send_signal(signal.SIGKILL)
        guest.process.wait()
        guest = self.guest()
        guest.login()
        guest.run(f"{data} | cmp - /root/kept")
        boot = guest.run("cat /proc/sys/kernel/random/boot_id")
        guest.send("reboot\n")
        guest.login()
        self.assertNotEqual(
            guest.run("cat /proc/sys/kernel/random/boot_id"), boot)
        self.check_network(guest)
        guest.send("poweroff\n")
        self.assertEqual(guest.wait(180), 0)
        self.check_file_system()

    def test_3_snapshot_direct_queues(self):
        before = digest(self.disk)
        data = os.path.join(self.dir, "data")
        with open(data, "wb") as f:
            f.write(bytes(MIB))
        guest = self.guest("-snapshot", "-smp", 4, "-no-reboot",
                           "-drive", f"file={data},format=raw,if=none,"
                           "id=data,readonly=on", "-device",
                           "virtio-blk-pci,drive=data,serial=vol7",
                           drive=",cache=none,aio=native",
                           device=",num-queues=2")
        guest.login()
        self.assertEqual(guest.run("nproc"), "4\n")
        self.assertEqual(guest.run("ls -x /sys/block/vda/mq")
                         .split(), ["0", "1"])
        self.assertEqual(
            guest.run("readlink /dev/disk/by-id/virtio-vol7"), "../../vdb\n")
        self.assertEqual(guest.run("blockdev --getro /dev/vdb"), "1\n")
        self.check_network(guest)
        guest.run("rm /etc/issue; dd if=/dev/urandom of=/root/lost bs=1M "
                  "count=32 status=none; sync", 120)
        guest.run("echo 3 >/proc/sys/vm/drop_caches; sha256sum /root/lost")
        guest.send("reboot\n")
        self.assertEqual(guest.wait(180), 0)
        self.assertEqual(digest(self.disk), before)
        self.check_file_system()

    def qemu_img(self, *args):
        r = subprocess.run(["qemu-img", *args], check=False, text=True,
                           capture_output=True)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)

    @unittest.skipUnless(shutil.which("qemu-img"), "needs qemu-img")
    def test_4_qcow2(self):
        """A compressed image as it is downloaded, and an overlay."""
        base, raw = os.path.join(self.dir, "base.qcow2"), self.disk
        self.qemu_img("convert", "-c", "-f", "raw", "-O", "qcow2", raw, base)
        before = digest(base)
        self.disk = os.path.join(self.dir, "disk.qcow2")
        self.qemu_img("create", "-f", "qcow2", "-b", base, "-F", "qcow2",
                      self.disk)
        guest = self.guest("-smp", 2, drive=",cache=none,aio=native")
        guest.login()
        data = "head -c 9000000 /bin/bash /usr/bin/bash"
        guest.run(f"{data} >/root/kept; sync", 120)
        guest.process.send_signal(signal.SIGKILL)
        guest.process.wait()
        # Leaks are what a kill may leave.
        r = subprocess.run(["qemu-img", "check", self.disk], check=False,
                           text=True, capture_output=True)
        self.assertIn(r.returncode, (0, 3), r.stdout + r.stderr)
        guest = self.guest(drive=",discard=unmap")
        guest.login()
        guest.run(f"{data} | cmp - /root/kept", 120)
        guest.run("rm /root/kept; fstrim -v /", 120)
        guest.send("poweroff\n")
        self.assertEqual(guest.wait(180), 0)
        self.qemu_img("check", "-r", "leaks", self.disk)
        self.qemu_img("check", self.disk)
        self.qemu_img("convert", "-O", "raw", self.disk, raw)
        self.assertEqual(digest(base), before)
        self.disk = raw
        self.check_file_system()


if __name__ == "__main__":
    try:
        vm.program()
        vm.debian_image()
    except vm.Skip as e:
        print(f"skipped: {e}")
        sys.exit(77)
    unittest.main(verbosity=2, failfast=True)
