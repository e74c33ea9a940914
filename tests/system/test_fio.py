#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""fio with verify in a Debian guest, on images of all kinds.

A Debian image with fio is made in the cache once (tools/debian-image).
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import vm

# Each writes, and reads all of it back: small and large, at random and in
# order, flushes, discards and zeroes between them.
JOBS = (
    ("random", "--rw=randwrite --bsrange=512-64k --bs_unaligned=0 "
     "--blockalign=512 --iodepth=16 --io_size=24m --verify=crc32c"),
    ("sync", "--rw=randwrite --bs=4k --iodepth=4 --fsync=8 --io_size=3m "
     "--verify=sha256"),
    ("large", "--rw=write --bs=1m --iodepth=4 --verify=xxhash"),
    ("trim", "--rw=randtrimwrite --bs=64k --iodepth=4 --io_size=16m "
     "--verify=md5 --trim_verify_zero=0"),
)
IMAGES = {
    "plain": ("", "cache=writeback"),
    "direct": ("", "cache=none,aio=native,discard=unmap"),
    "uring": ("cluster_size=4k", "cache=none,aio=io_uring"),
    "subclusters": ("extended_l2=on,cluster_size=128k", "discard=unmap"),
    "lazy": ("lazy_refcounts=on,cluster_size=2M", "detect-zeroes=unmap,"
             "discard=unmap"),
}


class Fio(unittest.TestCase):
    """The guest's own disk is an overlay, as of a cloud image; the disks
    under test have one below them, too."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="vmon-fio-", dir="/var/tmp")
        self.addCleanup(shutil.rmtree, self.dir)
        self.image = vm.debian_image("fio", ("fio",))

    def overlay(self, name, base, kind, options=""):
        path = os.path.join(self.dir, name + ".qcow2")
        more = ["-o", options] if options else []
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *more, "-b",
                        base, "-F", kind, path], check=True)
        return path

    def test_verify(self):
        base = os.path.join(self.dir, "base")
        with open(base, "wb") as f:
            f.write(os.urandom(1 << 20) * 32)
            f.truncate(48 << 20)
        args, disks = [], []
        for name, (options, drive) in IMAGES.items():
            disks.append(self.overlay(name, base, "raw", options))
            args += ["-drive", f"file={disks[-1]},format=qcow2,if=none,"
                     f"id={name},{drive}",
                     "-device", f"virtio-blk-pci,drive={name}"]
        root = self.overlay("root", self.image / "disk.raw", "raw")
        with vm.DebianVm(root, "-smp", 2, *args, memory=1024,
                         image=self.image) as guest:
            guest.login()
            for disk, name in zip("bcdef", IMAGES):
                for job, words in JOBS:
                    with self.subTest((name, job)):
                        guest.run(f"fio --name={job} --filename=/dev/vd{disk} "
                                  f"--direct=1 --ioengine=libaio --size=48m "
                                  f"--do_verify=1 --verify_fatal=1 {words} "
                                  ">/root/log 2>&1 || { tail -30 /root/log; "
                                  "false; }", 300)
            guest.send("poweroff\n")
            self.assertEqual(guest.wait(120), 0)
        for path in [root] + disks:
            r = subprocess.run(["qemu-img", "check", path], text=True,
                               capture_output=True, check=False)
            self.assertEqual(r.returncode, 0, path + r.stdout + r.stderr)


if __name__ == "__main__":
    try:
        vm.debian_image("fio", ("fio",))
    except vm.Skip as e:
        print(f"skipped: {e}")
        sys.exit(77)
    unittest.main(verbosity=2)
