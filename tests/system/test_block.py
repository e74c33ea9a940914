#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian guest on its disk: transports, rings, engines; balloon, rng."""
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest

import vm

MIB = 1 << 20
MODULES = ("virtio_pci", "virtio_blk", "virtio_balloon", "virtio_rng")


class Disk(unittest.TestCase):
    def setUp(self):
        self.data = bytearray(os.urandom(MIB) * 16)
        fd, self.path = tempfile.mkstemp(dir="/var/tmp", suffix=".raw")
        self.addCleanup(os.unlink, self.path)
        with os.fdopen(fd, "wb") as f:
            f.write(self.data)

    def sha256(self, data):
        return hashlib.sha256(data).hexdigest()

    def on_disk(self):
        with open(self.path, "rb") as f:
            return f.read()

    def exercise(self, drive="", device="", keeps=True, format="raw"):
        """Reads, writes and reads again; `keeps`: the image changes."""
        args = ["-drive", f"file={self.path},format={format},if=none,id=d0{drive}",
                "-device", f"virtio-blk-pci,drive=d0,serial=abc{device}"]
        with vm.LinuxVm(*args, modules=MODULES) as guest:
            guest.boot()
            self.assertEqual(guest.run("cat /sys/block/vda/serial"), "abc")
            self.assertIn(self.sha256(self.data),
                          guest.run("sha256sum /dev/vda", 60))
            guest.run("dd if=/dev/zero of=/dev/vda bs=1M seek=3 count=5 "
                      "conv=fsync 2>/dev/null")
            changed = bytearray(self.data)
            changed[3 * MIB:8 * MIB] = bytes(5 * MIB)
            guest.run("echo 3 >/proc/sys/vm/drop_caches")
            self.assertIn(self.sha256(changed),
                          guest.run("sha256sum /dev/vda", 60))
            self.assertEqual(self.on_disk(), changed if keeps else self.data)

    def test_modern_split(self):
        self.exercise()

    def test_packed(self):
        self.exercise(device=",packed=on")

    def test_legacy(self):
        self.exercise(device=",disable-modern=on")

    def test_without_messages(self):
        self.exercise(device=",vectors=0")

    def test_plain_rings(self):
        self.exercise(device=",event_idx=off,indirect_desc=off")

    def test_direct_threads(self):
        self.exercise(drive=",cache=none")

    def test_direct_native(self):
        self.exercise(drive=",cache=none,aio=native")

    def test_uring(self):
        drive = ",aio=io_uring"
        p = subprocess.run(
            [vm.program(), "-accel", "tcg", "-display", "none", "-S",
             "-monitor", "stdio", "-drive",
             f"file={self.path},format=raw{drive}"],
            input="quit\n", capture_output=True, text=True, timeout=60,
            check=False)
        if "use aio=threads" in p.stderr:
            self.skipTest(p.stderr.strip())
        self.exercise(drive=drive)

    def test_qcow2(self):
        """A compressed image below an overlay; QEMU's tools agree."""
        raw, self.path = self.path, self.path + ".qcow2"
        base = raw + ".base"
        for path in (base, self.path):
            self.addCleanup(lambda p=path: os.path.exists(p) and os.unlink(p))
        subprocess.run(["qemu-img", "convert", "-c", "-O", "qcow2", raw, base],
                       check=True)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base,
                        "-F", "qcow2", self.path], check=True)
        self.on_disk = lambda: self.as_raw(raw)
        self.exercise(drive=",cache=none,aio=native", format="qcow2")
        subprocess.run(["qemu-img", "check", "-q", self.path], check=True)
        self.data = self.as_raw(raw)
        self.exercise(drive=",snapshot=on", format="qcow2", keeps=False)

    def as_raw(self, raw):
        # The guest still has it open.
        subprocess.run(["qemu-img", "convert", "-U", "-O", "raw", self.path,
                        raw], check=True)
        with open(raw, "rb") as f:
            return f.read()

    def test_overlays(self):
        """The drive changes its image while the guest writes."""
        tops = [f"{self.path}.{i}" for i in range(3)]
        for path in [self.path + ".raw"] + tops:
            self.addCleanup(lambda p=path: os.path.exists(p) and os.unlink(p))
        args = ["-drive", f"file={self.path},format=raw,if=none,id=d0",
                "-device", "virtio-blk-pci,drive=d0"]
        with vm.LinuxVm(*args, modules=MODULES) as guest:
            guest.boot()
            guest.run("while :; do dd if=/dev/zero of=/dev/vda bs=64k count=64 "
                      "seek=32 conv=fsync; done >/dev/null 2>&1 &")
            for path in tops:
                time.sleep(0.5)
                self.assertEqual(guest.monitor(f"snapshot_blkdev d0 {path}"), "")
            guest.run("kill %1; wait; sync; echo 3 >/proc/sys/vm/drop_caches")
            below = self.on_disk()
            guest.run("dd if=/dev/vda of=/dev/vda bs=1M count=1 seek=10 "
                      "conv=fsync 2>/dev/null")
            self.data[2 * MIB:6 * MIB] = bytes(4 * MIB)
            self.data[10 * MIB:11 * MIB] = self.data[:MIB]
            self.assertIn(self.sha256(self.data),
                          guest.run("sha256sum /dev/vda", 60))
            self.assertEqual(self.on_disk(), below)
        for path in tops:
            subprocess.run(["qemu-img", "check", "-q", path], check=True)
        subprocess.run(["qemu-img", "convert", "-O", "raw", tops[-1],
                        self.path + ".raw"], check=True)
        with open(self.path + ".raw", "rb") as f:
            self.assertEqual(self.sha256(f.read()), self.sha256(self.data))

    def test_snapshot(self):
        self.exercise(drive=",snapshot=on", keeps=False)


class Memory(unittest.TestCase):
    def total(self, guest):
        text = guest.run("grep MemTotal /proc/meminfo")
        return int(re.search(r"\d+", text).group()) // 1024

    def actual(self, guest):
        return int(guest.monitor("info balloon").split("=")[1])

    def stats(self, guest):
        """What the guest says of its memory, once it has been asked."""
        end = time.monotonic() + 30 * vm.SLOW
        before = guest.monitor("info balloon -s")
        guest.run("cat /init >/dev/null")
        while time.monotonic() < end:
            text = guest.monitor("info balloon -s")
            age = float(re.search(r"statistics, (\S+) s old", text).group(1))
            if age < 1:
                break
            time.sleep(0.2)
        self.assertLess(age, 1)
        total = int(re.search(r"stat-total-memory: (\d+)", text).group(1))
        self.assertAlmostEqual(total / MIB, self.total(guest), delta=2)
        self.assertIn("stat-minor-faults: ", before)

    def test_balloon_and_rng(self):
        with vm.LinuxVm("-device", "virtio-balloon-pci",
                        "-device", "virtio-rng-pci",
                        modules=MODULES) as guest:
            guest.boot()
            before = self.total(guest)
            self.assertEqual(self.actual(guest), 256)
            # Fill memory, so that there is something to take back.
            guest.run("dd if=/dev/zero of=/tmp/x bs=1M count=100 2>/dev/null")
            guest.run("rm /tmp/x")
            rss = guest.usage()[0]
            guest.monitor("balloon 140")
            end = time.monotonic() + 30 * vm.SLOW
            while self.actual(guest) != 140 and time.monotonic() < end:
                time.sleep(0.2)
            self.assertEqual(self.actual(guest), 140)
            self.assertAlmostEqual(self.total(guest), before - 116, delta=2)
            self.assertLess(guest.usage()[0], rss - 50 * MIB)
            guest.monitor("balloon 256")
            while self.actual(guest) != 256 and time.monotonic() < end:
                time.sleep(0.2)
            self.assertEqual(self.actual(guest), 256)
            self.stats(guest)
            text = guest.run("cat /sys/class/misc/hw_random/rng_available; "
                             "dd if=/dev/hwrng bs=64 count=4 2>/dev/null "
                             "| wc -c")
            self.assertRegex(text, r"virtio_rng\.0\s+256\n")


if __name__ == "__main__":
    try:
        vm.debian_kernel()
        vm.program()
    except vm.Skip as e:
        print(f"skipped: {e}")
        sys.exit(77)
    unittest.main(verbosity=2)
