#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vmon inspect: small images with everything that it looks for, and the same
with bytes that are none of theirs."""
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import tempfile
import unittest
import uuid

import vm

MIB = 1 << 20
ESP = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b").bytes_le
LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4").bytes_le
RELEASE = ('NAME="Test"\nPRETTY_NAME="Test Linux 7 (first)"\nID=test\n'
           'VERSION_ID="7"\n')
ROUNDS = int(os.environ.get("INSPECT_ROUNDS", "60"))


class Inspect(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix="vmon-inspect-")
        self.addCleanup(tmp.cleanup)
        self.dir = pathlib.Path(tmp.name)
        self.disk = self.dir / "disk"
        self.env = dict(os.environ, VMON_OVMF=f"{tmp.name}/OVMF.fd",
                        PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")
        for tool in "mke2fs", "mformat", "mcopy", "mmd":
            if not shutil.which(tool, path=self.env["PATH"]):
                self.skipTest(f"no {tool}; tools/install image")

    def call(self, *args):
        return subprocess.run([vm.program(), "inspect", *map(str, args)],
                              stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60 * vm.SLOW, env=self.env,
                              check=False)

    def look(self, *args):
        r = self.call("--json", *args)
        self.assertEqual(r.returncode, 0, r.stderr)
        return json.loads(r.stdout)

    def tool(self, *args):
        subprocess.run(list(map(str, args)), check=True, env=self.env,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def root(self, *files):
        """An ext4 file system; of 8 MiB."""
        tree, out = self.dir / "tree", self.dir / "root"
        shutil.rmtree(tree, ignore_errors=True)
        for name in ("usr/lib/os-release", "boot/vmlinuz-7.1-test", *files):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(RELEASE if "release" in name else "x")
        (tree / "etc").mkdir(exist_ok=True)
        (tree / "etc/os-release").symlink_to("../usr/lib/os-release")
        out.write_bytes(bytes(8 * MIB))
        self.tool("mke2fs", "-q", "-t", "ext4", "-d", tree, "-F", out)
        return out.read_bytes()

    def esp(self, kib, *options):
        out, loader = self.dir / "esp", self.dir / "loader"
        loader.write_text("MZ")
        out.write_bytes(bytes(kib * 1024))
        self.tool("mformat", "-i", out, *options, "::")
        self.tool("mmd", "-i", out, "::/EFI", "::/EFI/BOOT")
        for n in range(40):  # folders of more than one cluster
            self.tool("mcopy", "-i", out, loader, f"::/EFI/BOOT/long name {n}")
        self.tool("mcopy", "-i", out, loader, "::/EFI/BOOT/BOOTX64.EFI")
        return out.read_bytes()

    def gpt(self, parts, code=b""):
        """Each from the next whole MiB on."""
        sectors, body, entries = 2048, b"", b""
        for kind, data in parts:
            data += bytes(-len(data) % MIB)
            entries += struct.pack("<16s16sQQQ72x", kind, uuid.uuid4().bytes,
                                   sectors, sectors + len(data) // 512 - 1, 0)
            body += data
            sectors += len(data) // 512
        mbr = code.ljust(446, b"\0") + struct.pack(
            "<BxxxBxxxII48xH", 0, 0xee, 1, sectors, 0xaa55)
        header = b"EFI PART" + bytes(64) + struct.pack("<QII", 2, 128, 128)
        self.disk.write_bytes(
            (mbr + header.ljust(512, b"\0") + entries).ljust(MIB, b"\0") + body)

    def test_gpt(self):
        self.gpt([(LINUX, self.root("usr/bin/cloud-init")),
                  (ESP, self.esp(4096))], b"\xeb\x63GRUB ")
        qcow2 = self.dir / "disk.qcow2"
        subprocess.run([vm.program(), "img", "convert", "-O", "qcow2",
                        self.disk, qcow2], check=True)
        for path in self.disk, qcow2:
            v = self.look(path)
            self.assertEqual(v["table"], "gpt")
            self.assertEqual(
                [(p["number"], p["type"], p["filesystem"], p["start"],
                  p["size"]) for p in v["partitions"]],
                [(1, "Linux", "ext4", MIB, 8 * MIB),
                 (2, "EFI system", "vfat", 9 * MIB, 4 * MIB)])
            self.assertEqual(v["loaders"], {"bios": "GRUB",
                                            "efi": "EFI/BOOT/BOOTX64.EFI"})
            self.assertEqual(v["system"], {
                "kernels": ["vmlinuz-7.1-test"], "cloud-init": True,
                "ignition": False, "name": "Test Linux 7 (first)",
                "id": "test", "version": "7"})
            self.assertTrue(v["seed"])
            self.assertEqual(v["notes"], [])
        text = self.call(qcow2).stdout
        self.assertIn("loaders:      BIOS GRUB, UEFI EFI/BOOT/BOOTX64.EFI\n"
                      "system:       Test Linux 7 (first)\n"
                      "kernels:      vmlinuz-7.1-test\n"
                      "first boot:   cloud-init, which sees the seed\n"
                      f"run it:       vmon run {qcow2}\n", text)

    def test_uefi_only(self):
        """FAT12, 16 and 32; vmon run wants OVMF for it."""
        for kib, options in (2048, ["-c", "1"]), (8192, ["-c", "1"]), \
                (40960, ["-F", "-c", "1"]):
            self.gpt([(ESP, self.esp(kib, *options))])
            v = self.look(self.disk)
            self.assertEqual(v["loaders"], {
                "bios": None, "efi": "EFI/BOOT/BOOTX64.EFI"}, kib)
        self.assertTrue(v["uefi-only"])
        self.assertIn("install the package ovmf", v["notes"][0])
        run = [vm.program(), "run", "--dry-run", self.disk]
        r = subprocess.run(run, env=self.env, text=True, capture_output=True,
                           check=False)
        self.assertEqual(r.returncode, 2, r.stdout)
        self.assertIn("has only a UEFI boot loader; install the package ovmf",
                      r.stderr)
        (self.dir / "OVMF.fd").write_bytes(b"x")
        self.assertIn("vmon run starts OVMF", self.look(self.disk)["notes"][0])
        r = subprocess.run(run, env=self.env, text=True, capture_output=True,
                           check=True)
        self.assertIn(f"-bios {self.dir}/OVMF.fd", r.stdout)
        for own in ["-bios", "a"], ["-kernel", "a"], ["-pflash", "a"]:
            r = subprocess.run([*run, "--", *own], env=self.env, text=True,
                               capture_output=True, check=True)
            self.assertNotIn("OVMF", r.stdout)

    def test_others(self):
        self.disk.write_bytes(self.root())
        v = self.look(self.disk)
        self.assertEqual(v["table"], "none")
        self.assertEqual(v["partitions"][0]["filesystem"], "ext4")
        self.assertFalse(v["seed"])
        self.assertIn("nothing on it boots", v["notes"][0])
        self.assertIn("there is no cloud-init", v["notes"][1])
        mbr = bytearray(MIB)
        mbr[:10] = b"\xeb\x58EXTLINUX"
        mbr[446:462] = struct.pack("<BxxxBxxxII", 0x80, 0x83, 2048, 16384)
        mbr[510:512] = b"\x55\xaa"
        self.disk.write_bytes(mbr + self.root("usr/bin/ignition"))
        v = self.look(self.disk)
        self.assertEqual(v["table"], "mbr")
        self.assertEqual(v["loaders"]["bios"], "SYSLINUX")
        self.assertTrue(v["system"]["ignition"])
        self.assertIn("--ignition FILE", v["command"])

    def test_wrong(self):
        self.disk.write_bytes(b"QFI\xfb" + bytes(1000))
        for args, status, want in (
                ([], 1, "usage: vmon inspect"),
                (["--foo"], 1, "usage: vmon inspect"),
                ([self.dir / "none"], 2, "No such file"),
                ([self.dir], 2, "is a directory"),
                ([self.disk], 2, "version 0"),
                (["-f", "vmdk", self.disk], 2, "vmdk")):
            r = self.call(*args)
            self.assertEqual(r.returncode, status, args)
            self.assertIn(want, r.stderr)
            self.assertEqual(r.stderr.count("\n"), 1)

    def test_damaged(self):
        """A stranger's bytes: it answers, soon, and does not fall over."""
        self.gpt([(LINUX, self.root()), (ESP, self.esp(2048))], b"GRUB")
        good = self.disk.read_bytes()
        rnd = random.Random(5)
        spots = [n for n in range(0, len(good), 512) if any(good[n:n + 512])]
        for n in range(ROUNDS):
            bad = bytearray(good)
            for _ in range(rnd.choice([1, 10, 200])):
                at = rnd.choice(spots) + rnd.randrange(512)
                bad[at] = rnd.choice([0, 1, 0x7f, 0x80, 0xff,
                                      rnd.randrange(256)])
            if n % 10 == 9:
                del bad[rnd.randrange(len(bad)):]
            self.disk.write_bytes(bad)
            r = self.call("--json", self.disk)
            self.assertEqual(r.returncode, 0, f"round {n}: {r.stderr}")
            json.loads(r.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
