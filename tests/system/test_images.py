#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Images laid out like those that one downloads, booted untouched.

tests/images/build makes them from Debian's packages, as root; they are kept
in the cache.  IMAGES_SUITE in the environment: another release than bookworm.
"""
import functools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import vm

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
    """`vmon run` of what one downloads, which is never written to."""

    def setUp(self):
        tmp = tempfile.TemporaryDirectory(dir=vm.cache())
        self.addCleanup(tmp.cleanup)
        self.dir = pathlib.Path(tmp.name)
        self.env = dict(os.environ, HOME=tmp.name, XDG_RUNTIME_DIR=tmp.name)
        self.env.pop("XDG_DATA_HOME", None)
        for tool in ("ssh", "ssh-keygen"):
            if not shutil.which(tool):
                self.skipTest(f"no {tool}")

    def vmon(self, *args, status=0, limit=60):
        r = subprocess.run([vm.program(), *map(str, args)], env=self.env,
                           stdin=subprocess.DEVNULL, capture_output=True,
                           text=True, timeout=limit * vm.SLOW, check=False)
        self.assertEqual(r.returncode, status, f"{args}\n{r.stdout}{r.stderr}")
        return r.stdout

    def start(self, *args, name="web", wait="ssh"):
        began = time.monotonic()
        self.addCleanup(subprocess.run, [vm.program(), "ctl", name, "quit"],
                        env=self.env, check=False, capture_output=True)
        self.vmon("run", "-d", "-n", name, "--wait", wait, "--timeout",
                  BOOT_S * vm.SLOW, *args, "--", "-accel", vm.accel(),
                  limit=2 * BOOT_S)
        print(f"{args}: {wait} after {time.monotonic() - began:.1f} s",
              file=sys.stderr, flush=True)

    def ssh(self, command, who="web"):
        return self.vmon("ssh", who, "-F", "none", "-o", "BatchMode=yes",
                         command, limit=BOOT_S).split("\n")[:-1]

    def session(self, host, *args):
        """What is the same whenever it boots; ends with power-off."""
        self.start(*args)
        lines = self.ssh(
            "cloud-init status --wait | tail -n 1; hostname; id -un;"
            "sudo id -un; sudo cat /var/lib/cloud/data/instance-id;"
            "cat /etc/ssh/ssh_host_ed25519_key.pub; df --output=size / |"
            "tail -n 1; cat kept 2>/dev/null; echo $((6*7)) >kept; sync")
        self.assertEqual(lines[:4], ["status: done", host, "debian", "root"])
        self.vmon("stop", "--timeout", 60 * vm.SLOW, "web",
                  limit=120)
        self.assertIn("Power down", (self.dir / "vmon/web/log").read_text(
            errors="replace"))
        check(self.dir / ".local/share/vmon/web.qcow2")
        return lines[4:]

    def test_genericcloud(self):
        before = image("genericcloud").read_bytes()
        v = json.loads(self.vmon("inspect", "--json", image("genericcloud")))
        self.assertEqual(v["loaders"], {"bios": "GRUB",
                                        "efi": "EFI/BOOT/BOOTX64.EFI"})
        self.assertTrue(v["seed"])
        first = self.session("web", "--disk", "web", "--size", "5G",
                             "--ssh-key", "generate", image("genericcloud"))
        self.assertGreater(int(first[2]), 4 << 20)  # KiB; the image has 2 GiB
        again = self.session("web", "--disk", "web", "--ssh-key", "generate")
        self.assertEqual(again, [*first, "42"])
        self.assertEqual(image("genericcloud").read_bytes(), before)
        self.qemu(self.dir / ".local/share/vmon/web.qcow2", "web login: ")

    def test_config_drive(self):
        self.start("--config-drive", "--hostname", "drive",
                   image("genericcloud"), wait="text=^drive login: ")

    def test_uefi_only(self):
        """OVMF comes by itself; systemd's credentials do without cloud-init."""
        try:
            self.env["VMON_OVMF"] = str(vm.debian_package("ovmf") /
                                        "usr/share/ovmf/OVMF.fd")
        except vm.Skip as e:
            self.skipTest(str(e))
        key = self.dir / ".local/share/vmon/id_ed25519"
        key.parent.mkdir(parents=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                        key], check=True)
        self.start("--load-credential",
                   f"ssh.authorized_keys.root:{key}.pub", image("efi"))
        self.assertEqual(self.ssh("id -un; ls -d /sys/firmware/efi",
                                  "root@web"), ["root", "/sys/firmware/efi"])

    def test_panic(self):
        """The guest's driver tells of it at once: status 3."""
        self.env["VMON_OVMF"] = "/none"
        p = subprocess.Popen(
            [vm.program(), "run", "-n", "web", image("grub-mbr"), "--",
             "-accel", vm.accel()], env=self.env, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(p.communicate)
        self.addCleanup(p.kill)
        log, end = self.dir / "vmon/web/log", time.monotonic() + 9 * BOOT_S
        for want, line in (b" login: ", b"root\n"), \
                (b":~# ", b"echo c >/proc/sysrq-trigger\n"):
            while not log.exists() or want not in log.read_bytes():
                self.assertLess(time.monotonic(), end)
                self.assertIsNone(p.poll())
                time.sleep(0.1)
            p.stdin.write(line)
            p.stdin.flush()
        out = p.communicate(timeout=60 * vm.SLOW)[0]
        self.assertEqual(p.returncode, 3, out[-2000:])
        self.assertIn(b"vmon: run: the guest's kernel panicked", out)

    def test_inspect(self):
        for name, table, bios in (("extlinux-disk", "none", "SYSLINUX"),
                                  ("extlinux-mbr", "mbr", "SYSLINUX"),
                                  ("grub-mbr", "mbr", "GRUB"),
                                  ("efi", "gpt", None)):
            v = json.loads(self.vmon("inspect", "--json", image(name)))
            self.assertEqual((v["table"], v["loaders"]["bios"]), (table, bios))
            self.assertIn("Debian GNU/Linux", v["system"]["name"])
            self.assertFalse(v["seed"])
            self.assertEqual(len(v["system"]["kernels"]), 1)

    def qemu(self, disk, want):
        """What vmon wrote still boots elsewhere."""
        if not shutil.which("qemu-system-x86_64"):
            return
        serial = self.dir / "serial"
        process = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "tcg", "-m", "1G", "-nodefaults",
             "-display", "none", "-serial", f"file:{serial}",
             "-drive", f"file={disk},if=virtio,format=qcow2",
             "-snapshot"], stdin=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        end = time.monotonic() + 2 * BOOT_S * vm.SLOW
        while not serial.exists() or want not in serial.read_text(
                errors="replace"):
            self.assertLess(time.monotonic(), end)
            self.assertIsNone(process.poll())
            time.sleep(0.1)


if __name__ == "__main__":
    try:
        vm.program()
    except vm.Skip as e:
        print(f"skipped: {e}")
        raise SystemExit(77) from e
    unittest.main(verbosity=2)
