#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""File systems on two disks under load, discard, sudden ends."""
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import vm

MIB = 1 << 20
MODULES = ("virtio_pci", "virtio_blk", "ext4")


class Disks(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="vmon-disks-", dir="/var/tmp")
        self.addCleanup(shutil.rmtree, self.dir)

    def disk(self, name, size, file_system=None):
        path = os.path.join(self.dir, name)
        with open(path, "wb") as f:
            f.truncate(size)
        if file_system:
            subprocess.run(["mke2fs", "-q", "-F", "-t", file_system,
                            "-E", "lazy_itable_init=0,nodiscard", path],
                           check=True)
        return path

    def check_file_system(self, path):
        r = subprocess.run(["e2fsck", "-fn", path], check=False,
                           capture_output=True, text=True)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)

    def used(self, path):
        return os.stat(path).st_blocks * 512

    def test_files(self):
        """Two writers, fsync, reads past the cache, then all is trimmed."""
        disks = [self.disk(f"d{i}", 256 * MIB, "ext4") for i in range(2)]
        args = ["-smp", 2]
        for i, (path, how) in enumerate(zip(
                disks, ("cache=none,aio=native", "cache=writeback"))):
            args += ["-drive", f"file={path},format=raw,if=none,id=d{i},"
                     f"discard=unmap,{how}",
                     "-device", f"virtio-blk-pci,drive=d{i},num-queues=2"]
        with vm.LinuxVm(*args, modules=MODULES) as guest:
            guest.boot()
            for d in "ab":
                guest.run(f"mkdir -p /m/{d}; mount -t ext4 /dev/vd{d} /m/{d}")
            start = time.monotonic()
            guest.run("dd if=/dev/urandom of=/tmp/x bs=1M count=8 "
                      "2>/dev/null; sum=$(sha256sum </tmp/x)", 60)
            # Each writes 48 MiB in pieces of its own size.
            guest.run("for d in a b; do for i in $(seq 6); do "
                      "dd if=/tmp/x of=/m/$d/$i bs=${i}7k conv=fsync "
                      "2>/dev/null || exit 1; done & done; wait", 240)
            guest.run("echo 3 >/proc/sys/vm/drop_caches")
            guest.run("for d in a b; do for i in $(seq 6); do "
                      "cmp /tmp/x /m/$d/$i || touch /tmp/bad; done & done; "
                      "wait; ! [ -e /tmp/bad ]", 240)
            guest.run("cat /m/a/[1-6] >/m/b/all; sync; "
                      "echo 3 >/proc/sys/vm/drop_caches; "
                      "for i in 0 1 2 3 4 5; do "
                      "[ \"$(dd if=/m/b/all bs=8M skip=$i count=1 "
                      "2>/dev/null | sha256sum)\" = \"$sum\" ] || break; "
                      "done; [ $i = 5 ]", 240)
            print(f"two disks: 144 MiB written, 192 MiB read in "
                  f"{time.monotonic() - start:.1f} s", file=sys.stderr)
            full = [self.used(path) for path in disks]
            guest.run("rm /m/a/* /m/b/* 2>/dev/null; sync; "
                      "fstrim /m/a && fstrim /m/b", 60)
            for path, before in zip(disks, full):
                self.assertLess(self.used(path), before - 45 * MIB)
            guest.run("umount /m/a /m/b")
            guest.send("poweroff -f\n")
            self.assertEqual(guest.wait(30), 0)
        for path in disks:
            self.check_file_system(path)

    def test_stop(self):
        """While the machine is stopped, the image stays as it is."""
        path = self.disk("stop", 64 * MIB)

        def image():
            with open(path, "rb") as f:
                return hashlib.sha256(f.read()).hexdigest()

        with vm.LinuxVm("-smp", 2, "-drive", f"file={path},format=raw,"
                        "if=virtio,cache=none,aio=native", modules=MODULES,
                        monitor=True) as guest:
            guest.boot()
            guest.run("for i in 0 1 2 3; do (while :; do dd if=/dev/urandom "
                      "of=/dev/vda bs=64k count=200 seek=${i}00 oflag=direct "
                      "conv=notrunc 2>/dev/null; done) & done")
            for _ in range(5):
                guest.monitor("stop")
                before = os.stat(path).st_mtime_ns, image()
                time.sleep(0.3)
                self.assertEqual((os.stat(path).st_mtime_ns, image()), before)
                guest.monitor("cont")
                end = time.monotonic() + 60 * vm.SLOW
                while os.stat(path).st_mtime_ns == before[0]:
                    self.assertLess(time.monotonic(), end)
                    time.sleep(0.01)

    def mount(self, *args):
        subprocess.run(["mount", *args], check=True, capture_output=True)

    def small(self, size):
        """A folder with that much room."""
        folder = os.path.join(self.dir, "small")
        os.mkdir(folder)
        try:
            self.mount("-t", "tmpfs", "-o", f"size={size}", "none", folder)
        except subprocess.CalledProcessError as e:
            self.skipTest(str(e.stderr))
        self.addCleanup(subprocess.run, ["umount", "-l", folder], check=True)
        return folder

    def expect_full(self, guest):
        end = time.monotonic() + 60 * vm.SLOW
        while time.monotonic() < end:
            if "io-error" in guest.monitor("info status"):
                break
            time.sleep(0.1)
        self.assertEqual(guest.monitor("info status"),
                         "VM status: paused (io-error)\n")
        self.assertIn("nospace", guest.monitor("info block"))

    @unittest.skipUnless(os.getuid() == 0, "mounts a file system")
    def test_full_qcow2(self):
        """The host has no room for an image that grows: the machine waits,
        twice, and then nothing is lost and the image is in order."""
        folder = self.small("4M")
        base = self.disk("base", 64 * MIB)
        with open(base, "r+b") as f:
            f.write(os.urandom(12 * MIB))
        with open(base, "rb") as f:
            want = bytearray(f.read(16 * MIB))
        path = os.path.join(folder, "disk")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base,
                        "-F", "raw", path], check=True)
        with vm.LinuxVm("-drive", f"file={path},format=qcow2,if=virtio",
                        modules=MODULES, monitor=True) as guest:
            guest.boot()
            # Not at clusters: each takes a part from below, too.
            guest.send("for i in 0 1 2 3 4 5 6; do dd if=/dev/vda of=/tmp/x "
                       "bs=1M count=1 skip=$i 2>/dev/null; dd if=/tmp/x "
                       "of=/dev/vda bs=4k seek=$((i * 300 + 2001)) "
                       "oflag=direct 2>/dev/null || echo bad; done; "
                       "sync; echo filled\n")
            self.expect_full(guest)
            self.mount("-o", "remount,size=6M", folder)
            guest.monitor("cont")
            self.expect_full(guest)
            self.mount("-o", "remount,size=32M", folder)
            guest.monitor("cont")
            self.assertNotIn(b"bad", guest.expect(r"(?s)(.*)filled\r?\n",
                                                  60).group(1))
            for i in range(7):
                at = (i * 300 + 2001) * 4096
                want[at:at + MIB] = want[i * MIB:(i + 1) * MIB]
            guest.run("echo 3 >/proc/sys/vm/drop_caches")
            self.assertIn(hashlib.sha256(want).hexdigest(), guest.run(
                "dd if=/dev/vda bs=1M count=16 2>/dev/null | sha256sum", 60))
            guest.send("poweroff -f\n")
            self.assertEqual(guest.wait(30), 0)
        r = subprocess.run(["qemu-img", "check", path], capture_output=True,
                           text=True, check=False)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        subprocess.run(["qemu-img", "convert", path, self.dir + "/raw"],
                       check=True)
        with open(self.dir + "/raw", "rb") as f:
            self.assertEqual(f.read(16 * MIB), want)
            self.assertFalse(any(f.read()))

    @unittest.skipUnless(os.getuid() == 0, "mounts a file system")
    def test_full(self):
        """The host has no room: the machine waits for some, or the guest
        hears of it, as werror= says."""
        folder, mount = self.small("4M"), self.mount
        path = self.disk("small/disk", 64 * MIB)
        fill = ("dd if=/dev/zero of=/dev/vda bs=64k count=128 oflag=direct "
                "2>/dev/null")
        drive = f"file={path},format=raw,if=virtio"
        with vm.LinuxVm("-drive", drive, modules=MODULES,
                        monitor=True) as guest:
            guest.boot()
            guest.send(fill + "; echo filled $?\n")
            self.expect_full(guest)
            mount("-o", "remount,size=32M", folder)
            guest.monitor("cont")
            guest.expect(r"filled 0\r?\n", 30)
        os.truncate(path, 0)
        os.truncate(path, 64 * MIB)
        mount("-o", "remount,size=4M", folder)
        with vm.LinuxVm("-drive", drive + ",werror=report", modules=MODULES,
                        monitor=True) as guest:
            guest.boot()
            self.assertNotEqual(guest.run(fill, check=False)[0], 0)
            self.assertEqual(guest.monitor("info status"),
                             "VM status: running\n")

    def test_read_only(self):
        path = self.disk("ro", 4 * MIB)
        data = os.urandom(4 * MIB)
        with open(path, "wb") as f:
            f.write(data)
        os.chmod(path, 0o444)
        with vm.LinuxVm("-drive", f"file={path},format=raw,if=virtio,"
                        "readonly=on", modules=MODULES) as guest:
            guest.boot()
            self.assertEqual(guest.run("cat /sys/block/vda/ro"), "1\n")
            status, _ = guest.run("dd if=/dev/zero of=/dev/vda bs=4k count=1 "
                                  "2>/dev/null", check=False)
            self.assertNotEqual(status, 0)
            guest.run("cat /dev/vda | wc -c | grep -q 4194304")
        with open(path, "rb") as f:
            self.assertEqual(f.read(), data)

    def test_many(self):
        """Eight disks: each is itself, found by its serial number."""
        args = []
        for i in range(8):
            path = self.disk(f"m{i}", MIB)
            with open(path, "r+b") as f:
                f.write(f"disk {i}\n".encode())
            args += ["-drive", f"file={path},format=raw,if=none,id=m{i}",
                     "-device", f"virtio-blk-pci,drive=m{i},serial=vol-{i}"]
        with vm.LinuxVm(*args, modules=MODULES) as guest:
            guest.boot()
            for i, d in enumerate("abcdefgh"):
                self.assertEqual(guest.run(f"cat /sys/block/vd{d}/serial"),
                                 f"vol-{i}")
                self.assertEqual(guest.run(f"head -n 1 /dev/vd{d}"),
                                 f"disk {i}\n")

    def sudden_end(self, number, status):
        """What the guest was told to be on the disk is there."""
        path = self.disk("log", MIB)
        with vm.LinuxVm("-drive", f"file={path},format=raw,if=virtio",
                        modules=MODULES) as guest:
            guest.boot()
            guest.send("i=0; while :; do i=$((i+1)); "
                       "printf '%08d' $i | dd of=/dev/vda bs=8 conv=notrunc,"
                       "fsync 2>/dev/null && echo told $i; done\n")
            guest.expect(r"told 20\r?\n", 60)
            guest.process.send_signal(number)
            self.assertEqual(guest.wait(10), status)
            guest.serial.poll(0.1)
            told = int(re.findall(rb"told (\d+)\r?\n", guest.serial.log)[-1])
        with open(path, "rb") as f:
            found = int(f.read(8))
        # What was told of the next ones may have been on its way.
        self.assertGreaterEqual(found, told)

    def test_terminated(self):
        self.sudden_end(signal.SIGTERM, 0)

    def test_interrupted(self):
        self.sudden_end(signal.SIGINT, 0)

    def test_killed(self):
        self.sudden_end(signal.SIGKILL, -signal.SIGKILL)


if __name__ == "__main__":
    try:
        vm.program()
        vm.debian_kernel()
        for tool in ("mke2fs", "e2fsck"):
            if not shutil.which(tool):
                raise vm.Skip(f"no {tool}")
    except vm.Skip as e:
        print(f"skipped: {e}")
        sys.exit(77)
    unittest.main(verbosity=2)
