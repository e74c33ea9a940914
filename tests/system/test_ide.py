#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks and CD drives on the IDE controller, with Linux's ata_piix."""
import hashlib
import os
import subprocess
import tempfile
import time
import unittest

import test_boot
import vm

MIB = 1 << 20
DMA_MODE = "cat /sys/class/ata_device/dev{}.0/xfer_mode"
MODULES = ("ata_piix", "sd_mod", "sr_mod", "isofs")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Ide(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory(dir="/var/tmp")
        self.addCleanup(self.dir.cleanup)

    def image(self, name, size=16 * MIB):
        data = os.urandom(MIB) * (size // MIB)
        path = os.path.join(self.dir.name, name)
        with open(path, "wb") as f:
            f.write(data)
        return path, bytearray(data)

    def iso(self, name, text):
        folder = os.path.join(self.dir.name, name)
        os.mkdir(folder)
        with open(os.path.join(folder, "WHAT"), "w", encoding="ascii") as f:
            f.write(text)
        with open(os.path.join(folder, "BLOB"), "wb") as f:
            f.write(os.urandom(3 * MIB))
        subprocess.run(["gcc", "-O2", "-static", "-o", f"{folder}/TRAY",
                        vm.HERE / "tray.c"], check=True)
        subprocess.run(["genisoimage", "-quiet", "-r", "-V", name, "-o",
                        folder + ".iso", folder], check=True)
        return folder + ".iso"

    def blob(self, iso):
        with open(os.path.join(iso[:-4], "BLOB"), "rb") as f:
            return f.read()

    def check_log(self, guest):
        text = guest.run("dmesg | grep -E 'ata[0-9]|sr 1:' ")
        self.assertIn("ata1", text)
        self.assertNotRegex(text, r"exception|failed|error")

    def exercise(self, guest, path, data):
        guest.boot()
        self.assertIn(sha256(data), guest.run("sha256sum /dev/sda", 120))
        guest.run("dd if=/dev/zero of=/dev/sda bs=1M seek=3 count=5 "
                  "conv=fsync 2>/dev/null", 60)
        data[3 * MIB:8 * MIB] = bytes(5 * MIB)
        guest.run("echo 3 >/proc/sys/vm/drop_caches")
        self.assertIn(sha256(data), guest.run("sha256sum /dev/sda", 120))
        with open(path, "rb") as f:
            self.assertEqual(sha256(f.read()), sha256(data))

    def test_disk(self):
        path, data = self.image("disk")
        with vm.LinuxVm("-drive", f"file={path},format=raw,if=ide",
                        modules=MODULES) as guest:
            self.exercise(guest, path, data)
            self.assertEqual(guest.run(DMA_MODE.format(1)), "XFER_MW_DMA_2\n")
            self.check_log(guest)

    def test_disk_pio(self):
        path, data = self.image("disk")
        with vm.LinuxVm("-drive", f"file={path},format=raw,if=ide",
                        modules=MODULES, append="libata.dma=0") as guest:
            self.exercise(guest, path, data)
            self.assertEqual(guest.run(DMA_MODE.format(1)), "XFER_PIO_4\n")
            self.check_log(guest)

    def cd(self, append=""):
        first, second = self.iso("ONE", "first\n"), self.iso("TWO", "second\n")
        with vm.LinuxVm("-drive", f"file={first},format=raw,media=cdrom,if=ide,"
                        "index=2", modules=MODULES, append=append) as guest:
            guest.boot()
            self.assertIn("ide1-cd0", guest.monitor("info block"))
            guest.run("mkdir /mnt; mount -o ro /dev/sr0 /mnt")
            self.assertEqual(guest.run("cat /mnt/WHAT"), "first\n")
            self.assertIn(sha256(self.blob(first)),
                          guest.run("sha256sum /mnt/BLOB", 60))
            # A mounted CD is locked in the drive.
            self.assertIn("locked, tray closed",
                          guest.monitor("info block ide1-cd0"))
            self.assertIn("is locked", guest.monitor("eject ide1-cd0"))
            guest.run("umount /mnt")
            self.assertEqual(guest.monitor(f"change ide1-cd0 {second}"), "")
            guest.run("mount -o ro /dev/sr0 /mnt")
            self.assertEqual(guest.run("cat /mnt/WHAT"), "second\n")
            self.assertIn(sha256(self.blob(second)),
                          guest.run("sha256sum /mnt/BLOB", 60))
            guest.run("umount /mnt")
            self.assertEqual(guest.monitor("eject ide1-cd0"), "")
            self.assertRegex(guest.monitor("info block ide1-cd0"),
                             r"ide1-cd0: \[not inserted\]")
            status, text = guest.run("mount -o ro /dev/sr0 /mnt", check=False)
            self.assertNotEqual(status, 0, text)
            self.assertEqual(guest.monitor(f"change ide1-cd0 {first}"), "")
            guest.run("mount -o ro /dev/sr0 /mnt")
            self.assertEqual(guest.run("cat /mnt/WHAT"), "first\n")
            guest.run("cp /mnt/TRAY /tmp/tray; umount /mnt; /tmp/tray eject /dev/sr0")
            self.assertIn("tray open", guest.monitor("info block ide1-cd0"))
            guest.run("/tmp/tray load /dev/sr0")
            self.assertIn("tray closed", guest.monitor("info block ide1-cd0"))
            guest.run("mount -o ro /dev/sr0 /mnt")
            self.assertEqual(guest.monitor("eject -f ide1-cd0"), "")
            self.check_log(guest)

    def test_cd(self):
        self.cd()

    def test_cd_pio(self):
        self.cd("libata.dma=0")

    def firmware(self):
        yield []
        try:
            folder = vm.debian_package("seabios") / "usr/share/seabios"
        except vm.Skip as e:
            self.skipTest(str(e))
        for name in "bios-256k.bin", "bios.bin":
            yield ["-bios", folder / name]

    def test_boot_disk(self):
        path = os.path.join(self.dir.name, "boot")
        with open(path, "wb") as f:
            f.write(test_boot.loader("LOADED").ljust(MIB, b"\0"))
        for bios in self.firmware():
            with self.subTest(bios=bios), vm.Vm(
                    "-m", 32, *bios, "-drive",
                    f"file={path},format=raw,if=ide") as guest:
                guest.expect("LOADED", 30)
                guest.monitor("system_reset")
                guest.expect("LOADED", 30)

    def test_boot_cd(self):
        try:
            folder = vm.debian_package("grub-rescue-pc")
        except vm.Skip as e:
            self.skipTest(str(e))
        iso = folder / "usr/lib/grub-rescue/grub-rescue-cdrom.iso"
        for bios in self.firmware():
            with self.subTest(bios=bios), vm.Vm(
                    "-m", 64, "-vga", "std", *bios, "-drive",
                    f"file={iso},format=raw,media=cdrom,if=ide") as guest:
                end = time.monotonic() + 30 * vm.SLOW
                while "GNU GRUB" not in guest.monitor("info screen"):
                    self.assertLess(time.monotonic(), end)
                    time.sleep(0.1)

    def test_device(self):
        """Named one by one, with places and properties."""
        path, data = self.image("disk", MIB)
        iso = self.iso("ONE", "first\n")
        with vm.LinuxVm("-drive", f"file={path},format=raw,if=none,id=d0",
                        "-drive", f"file={iso},format=raw,media=cdrom,if=none,"
                        "id=d1",
                        "-device", "ide-hd,drive=d0,bus=ide.1,unit=1,"
                        "serial=abc,model=Frog",
                        "-device", "ide-cd,drive=d1,bus=ide.0,unit=1",
                        "-device", "ide-cd,id=empty",
                        modules=MODULES) as guest:
            guest.boot()
            self.assertEqual(guest.run("sha256sum </dev/sda").split()[0],
                             sha256(data))
            self.assertEqual(guest.run("cat /sys/block/sda/device/model")
                             .strip(), "Frog")
            text = guest.run("ls /sys/class/ata_device")
            self.assertEqual(text.split(), ["dev1.0", "dev1.1", "dev2.0",
                                            "dev2.1"])
            self.assertRegex(guest.monitor("info block"),
                             r"(?m)^empty: \[not inserted\]$")
            # What the drive holds comes from the monitor.
            self.assertEqual(guest.monitor(f"change empty {iso}"), "")
            guest.run("mkdir /mnt; mount -o ro /dev/sr0 /mnt")
            self.assertEqual(guest.run("cat /mnt/WHAT"), "first\n")
            self.assertIn("Bus 'ide.1' does not support hotplugging",
                          guest.monitor("device_add ide-cd"))
            self.assertIn("Bus 'ide.0' does not support hotplugging",
                          guest.monitor("device_del empty"))

    def test_stop_on_error(self):
        """A write that finds no space waits for it."""
        folder = os.path.join(self.dir.name, "small")
        os.mkdir(folder)
        r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "small",
                            folder], capture_output=True, text=True,
                           check=False)
        if r.returncode:
            self.skipTest(f"no tmpfs: {r.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", folder], check=True)
        path = os.path.join(folder, "disk.qcow2")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "16M"],
                       check=True)
        with vm.LinuxVm("-drive", f"file={path},if=ide,werror=stop",
                        modules=MODULES) as guest:
            guest.boot()
            guest.send("dd if=/dev/urandom of=/tmp/r bs=1M count=10 "
                       "2>/dev/null; dd if=/tmp/r of=/dev/sda bs=1M "
                       "conv=fsync 2>/dev/null; sha256sum </tmp/r\n")
            end = time.monotonic() + 60 * vm.SLOW
            while "paused (io-error)" not in guest.monitor("info status"):
                self.assertLess(time.monotonic(), end)
                time.sleep(0.1)
            subprocess.run(["mount", "-o", "remount,size=32m", folder],
                           check=True)
            guest.monitor("cont")
            m = guest.expect(r"([0-9a-f]{64}).*@@end 0@@\r*\n", 60)
            guest.run("echo 3 >/proc/sys/vm/drop_caches")
            self.assertIn(m.group(1).decode(), guest.run(
                "dd if=/dev/sda bs=1M count=10 2>/dev/null | sha256sum", 60))
            self.check_log(guest)
            self.assertIn("VM status: running", guest.monitor("info status"))
        subprocess.run(["qemu-img", "check", "-q", path], check=True)


if __name__ == "__main__":
    try:
        vm.program()
    except vm.Skip as e:
        print(f"skipped: {e}")
        raise SystemExit(77) from e
    unittest.main(verbosity=2)
