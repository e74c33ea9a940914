#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Core files of a Linux guest in gdb and crash, and what is in them."""
import os
import re
import shutil
import struct
import subprocess
import tempfile
import unittest
import zlib

import vm

PT_LOAD, PT_NOTE, NT_PRSTATUS = 1, 4, 1


def notes(data):
    """(name, type, bytes) of each."""
    at = 0
    while at < len(data):
        n, d, kind = struct.unpack_from("<III", data, at)
        name = data[at + 12:at + 12 + n - 1].decode()
        at += 12 + (n + 3) // 4 * 4
        yield name, kind, data[at:at + d]
        at += (d + 3) // 4 * 4


class Elf:
    def __init__(self, path):
        self.f = open(path, "rb")
        head = self.f.read(64)
        assert head[:6] == b"\x7fELF\x02\x01" and head[16] == 4
        size, count = struct.unpack_from("<HH", head, 54)
        self.loads, self.notes = [], []
        for i in range(count):
            self.f.seek(64 + i * size)
            kind, _, offset, va, pa, n, _, _ = struct.unpack(
                "<IIQQQQQQ", self.f.read(56))
            if kind == PT_LOAD:
                self.loads.append((offset, va, pa, n))
            elif kind == PT_NOTE:
                self.f.seek(offset)
                self.notes = list(notes(self.f.read(n)))

    def read(self, va, n):
        for offset, start, _, size in self.loads:
            if start <= va and va + n <= start + size:
                self.f.seek(offset + va - start)
                return self.f.read(n)
        raise KeyError(hex(va))

    def close(self):
        self.f.close()


class Kdump:
    """Pages of a kdump-compressed file by physical address."""
    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        assert self.data[:8] == b"KDUMP   "
        block, sub, bitmaps = struct.unpack_from("<III", self.data, 428)
        assert block == 4096
        at, size = struct.unpack_from("<QQ", self.data, 4096 + 32)
        self.info = self.data[at:at + size].decode()
        at, size = struct.unpack_from("<QQ", self.data, 4096 + 48)
        self.notes = list(notes(self.data[at:at + size]))
        start = (1 + sub) * block
        half = bitmaps * block // 2
        self.stored = self.data[start + half:start + 2 * half]
        self.descs = start + 2 * half

    def page(self, pfn):
        assert self.stored[pfn // 8] >> pfn % 8 & 1
        before = sum(bin(b).count("1") for b in self.stored[:pfn // 8])
        before += bin(self.stored[pfn // 8] & ((1 << pfn % 8) - 1)).count("1")
        at, size, flags = struct.unpack_from("<QII", self.data,
                                             self.descs + 24 * before)
        data = self.data[at:at + size]
        return zlib.decompress(data) if flags & 1 else data


class Dump(unittest.TestCase):
    def setUp(self):
        self.tmp = tempfile.mkdtemp(prefix="vmon-dump-")
        self.addCleanup(shutil.rmtree, self.tmp)

    def run_tool(self, *args):
        if not shutil.which(args[0]):
            self.skipTest(f"no {args[0]}")
        return subprocess.run(args, stdin=subprocess.DEVNULL, timeout=120,
                              stdout=subprocess.PIPE, check=False,
                              stderr=subprocess.STDOUT, text=True).stdout

    def test_linux(self):
        plain, paging, kdump = (os.path.join(self.tmp, n)
                                for n in ("plain", "paging", "kdump"))
        with vm.LinuxVm("-smp", 2, memory=128, monitor=True) as guest:
            guest.boot(400)
            release = guest.run("uname -r").strip()
            said = guest.run("cat /proc/version").strip()
            guest.monitor("stop")
            for option, path in (("", plain), ("-p", paging), ("-z", kdump)):
                self.assertEqual(guest.monitor(
                    f"dump-guest-memory {option} {path}", 120), "")
            rip = int(guest.monitor("p/x $rip"), 16)
            banner = int(re.search("(0x[0-9a-f]+) . linux_banner\n", guest
                                   .monitor("info symbols linux_banner"))
                         .group(1), 16)
            gpa = int(guest.monitor(f"gva2gpa {banner:#x}").split()[1], 16)
            guest.monitor("cont")
            self.assertEqual(guest.run("echo still here"), "still here\n")
        self.check_elf(plain, gpa, said, release, rip)
        self.check_elf(paging, banner, said, release, rip)
        k = Kdump(kdump)
        self.assertIn(f"OSRELEASE={release}\n", k.info)
        self.assertEqual([n[:2] for n in k.notes[:2]],
                         [("CORE", NT_PRSTATUS)] * 2)
        self.assertIn(said.encode(), k.page(gpa >> 12) + k.page((gpa >> 12)
                                                                + 1))
        self.check_gdb(paging, banner, rip, said)
        for path in (plain, paging, kdump):
            self.assertIn(release, self.run_tool("crash", "--osrelease",
                                                 path))

    def check_elf(self, path, at, said, release, rip):
        e = Elf(path)
        self.addCleanup(e.close)
        self.assertEqual(e.read(at, len(said)).decode(), said)
        self.assertEqual([n[:2] for n in e.notes],
                         [("CORE", NT_PRSTATUS)] * 2 + [("QEMU", 0)] * 2 +
                         [("VMCOREINFO", 0)])
        self.assertEqual(struct.unpack_from("<Q", e.notes[0][2], 112 + 128)[0],
                         rip)
        self.assertIn(f"OSRELEASE={release}\n", e.notes[4][2].decode())
        # Zeroes take no room on the disk.
        st = os.stat(path)
        self.assertLess(st.st_blocks * 512, st.st_size)

    def check_gdb(self, path, banner, rip, said):
        text = self.run_tool("gdb", "-nx", "-batch", "-ex",
                             f"core-file {path}", "-ex", "info threads",
                             "-ex", "p/x $rip", "-ex", f"x/s {banner:#x}")
        self.assertIn(f"$1 = {rip:#x}", text)
        self.assertIn(said[:60], text)
        self.assertEqual(len(re.findall(r"^[* ] +\d+ +LWP", text, re.M)), 2)


if __name__ == "__main__":
    unittest.main()
