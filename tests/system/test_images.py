#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Images laid out like those that one downloads, booted untouched.

tests/images/build makes them from Debian's packages, as root; they are kept
in the cache.  IMAGES_SUITE in the environment: another release than bookworm.
"""
import functools
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import vm
from test_net import free_port

SUITE = os.environ.get("IMAGES_SUITE", "bookworm")
BOOT_S = 120

# name, arguments of tests/images/build
BUILD = {
    "genericcloud": ["--vendor", "genericcloud"],
    "extlinux-disk": ["--vendor", "nocloud", "--boot", "extlinux", "--table",
                      "none", "--size", "1200M"],
    "extlinux-mbr": ["--vendor", "nocloud", "--boot", "extlinux", "--table",
                     "mbr", "--size", "1200M"],
    "grub-mbr": ["--vendor", "nocloud", "--boot", "bios", "--table", "mbr",
                 "--prefix", "uuid", "--size", "1200M", "--comp", "zstd"],
    "efi": ["--vendor", "nocloud", "--boot", "efi", "--size", "1200M"],
}


@functools.cache
def image(name):
    path = vm.cache() / "images" / f"{SUITE}-{name}.qcow2"
    if path.exists():
        return path
    if os.geteuid():
        raise unittest.SkipTest("making the image needs root")
    if not shutil.which("mmdebstrap"):
        raise unittest.SkipTest("no mmdebstrap; tools/install image")
    part = path.with_name(f"part-{path.name}")
    subprocess.run([vm.ROOT / "tests/images/build", "--suite", SUITE, "-o",
                    part, *BUILD[name]], check=True, stdout=sys.stderr,
                   env=dict(os.environ, VMON=vm.program()))
    part.rename(path)
    return path


def check(path):
    subprocess.run(["qemu-img", "check", path], check=True,
                   stdout=subprocess.DEVNULL, stderr=sys.stderr)


class Plain(unittest.TestCase):
    """Root without password; each from its own loader, with a VGA."""

    def boot(self, name, loader, *args):
        with tempfile.TemporaryDirectory(dir=vm.cache()) as work:
            disk = pathlib.Path(work) / "disk.qcow2"
            shutil.copy(image(name), disk)
            for _ in range(2):
                self.session(disk, name, loader, *args)
                check(disk)

    def session(self, disk, name, loader, *args):
        with vm.Vm("-m", "1G", "-drive", f"file={disk},if=virtio",
                   *(args or ("-vga", "std"))) as guest:
            guest.expect(loader, 60)
            guest.expect("Linux version ", 60)
            guest.expect("login: ", BOOT_S)
            print(f"{name}: login after {guest.times['login: ']:.1f} s",
                  file=sys.stderr, flush=True)
            guest.send("root\n")
            guest.expect("# ", 60)
            guest.send("echo $((6*7))$(cat /sys/block/vda/ro) >>/root/f;"
                       "sort -u /root/f; poweroff\n")
            guest.expect("420\r\n", 60)
            self.assertEqual(guest.wait(60), 0)

    def test_extlinux_disk(self):
        self.boot("extlinux-disk", "SYSLINUX")

    def test_extlinux_mbr(self):
        self.boot("extlinux-mbr", "SYSLINUX")

    def test_grub_mbr(self):
        self.boot("grub-mbr", "GRUB loading")

    def test_efi(self):
        with vm.Vm("-m", "1G", "-drive", f"file={image('efi')},if=virtio,"
                   "snapshot=on") as guest:
            guest.expect(r"No bootable device: 'virtio0': it has only a UEFI "
                         r"boot loader[^\n]*-bios OVMF.fd", 30)


    def test_ovmf(self):
        try:
            ovmf = vm.debian_package("ovmf") / "usr/share/ovmf/OVMF.fd"
        except vm.Skip as e:
            self.skipTest(str(e))
        self.boot("efi", "BdsDxe: starting", "-bios", ovmf)

    def test_ovmf_flash(self):
        """Variables are kept: the second boot knows what to try first."""
        try:
            ovmf = vm.debian_package("ovmf") / "usr/share/OVMF"
        except vm.Skip as e:
            self.skipTest(str(e))
        with tempfile.TemporaryDirectory(dir=vm.cache()) as work:
            variables = pathlib.Path(work) / "vars.fd"
            variables.write_bytes((ovmf / "OVMF_VARS.fd").read_bytes())
            fresh = variables.read_bytes()
            self.boot("efi", "BdsDxe: starting", "-drive",
                      "if=pflash,format=raw,unit=0,readonly=on,file="
                      f"{ovmf}/OVMF_CODE.fd", "-drive",
                      f"if=pflash,format=raw,unit=1,file={variables}")
            kept = variables.read_bytes()
            self.assertNotIn("Boot0001".encode("utf-16-le"), fresh)
            self.assertIn("Boot0001".encode("utf-16-le"), kept)

    def test_seabios(self):
        try:
            folder = vm.debian_package("seabios") / "usr/share/seabios"
        except vm.Skip as e:
            self.skipTest(str(e))
        self.boot("grub-mbr", "GRUB loading", "-bios",
                  folder / "bios-256k.bin")


class Cloud(unittest.TestCase):
    """`vmon run` of a genericcloud image: cloud-init, ssh, power-off."""

    def setUp(self):
        tmp = tempfile.TemporaryDirectory(dir=vm.cache())
        self.addCleanup(tmp.cleanup)
        self.dir = pathlib.Path(tmp.name)
        self.disk = self.dir / "disk.qcow2"
        shutil.copy(image("genericcloud"), self.disk)
        for tool in ("ssh", "ssh-keygen"):
            if not shutil.which(tool):
                self.skipTest(f"no {tool}")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                        self.dir / "key"], check=True)

    def ssh(self, port, command):
        return subprocess.run(
            ["ssh", "-i", self.dir / "key", "-p", str(port), "-F", "none",
             "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR",
             "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes",
             "-o", f"ConnectTimeout={int(30 * vm.SLOW)}",
             "debian@127.0.0.1", command], stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
            timeout=120 * vm.SLOW)

    def wait_for(self, process, what):
        end = time.monotonic() + BOOT_S * vm.SLOW
        while True:
            text = (self.dir / "serial").read_text(errors="replace")
            if what in text:
                return
            self.assertLess(time.monotonic(), end, text[-2000:])
            self.assertIsNone(process.poll(), text[-2000:])
            time.sleep(0.1)

    def run_once(self, host, *kept):
        port, start = free_port(), time.monotonic()
        (self.dir / "serial").write_text("")
        process = subprocess.Popen(
            [vm.program(), "run", "--write", "--hostname", host,
             "--ssh-key", self.dir / "key.pub", "--ssh-port", str(port),
             self.disk, "--", "-accel", vm.accel(), "-monitor", "none",
             "-serial", f"file:{self.dir}/serial"],
            stdin=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.wait_for(process, f"{host} login: ")
        login = time.monotonic() - start
        r = self.ssh(port, "cloud-init status --wait | tail -n 1; hostname; id -un;"
                     "sudo id -un; ls kept 2>/dev/null; touch kept; ls kept")
        lines = r.stdout.split("\n")
        self.assertEqual(lines, ["status: done", host, "debian", "root",
                                 *kept, "kept", ""], r)
        print(f"{host}: login after {login:.1f} s, ssh after "
              f"{time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
        self.ssh(port, "sudo poweroff")
        self.assertEqual(process.wait(60 * vm.SLOW), 0)
        check(self.disk)

    def test_genericcloud(self):
        self.run_once("one")
        self.run_once("two", "kept")
        self.qemu()

    def qemu(self):
        """What vmon wrote still boots elsewhere."""
        if not shutil.which("qemu-system-x86_64"):
            return
        (self.dir / "serial").write_text("")
        process = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "tcg", "-m", "1G", "-nodefaults",
             "-display", "none", "-serial", f"file:{self.dir}/serial",
             "-drive", f"file={self.disk},if=virtio,format=qcow2",
             "-snapshot"], stdin=subprocess.DEVNULL)
        try:
            self.wait_for(process, "two login: ")
        finally:
            process.kill()
            process.wait()


if __name__ == "__main__":
    try:
        vm.program()
    except vm.Skip as e:
        print(f"skipped: {e}")
        raise SystemExit(77) from e
    unittest.main(verbosity=2)
