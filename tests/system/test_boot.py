#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the built-in firmware boots, in which order, and what it says when
nothing will do: disks of a few sectors, and GRUB's rescue CD."""
import pathlib
import tempfile
import time
import unittest

import vm

ESP = bytes.fromhex("28732ac11ff8d211ba4b00a0c93ec93b")


def loader(text):
    """A boot sector that prints by INT 10h and halts."""
    code = bytes.fromhex("be117c ac 08c0 7406 b40e cd10 ebf5 f4 ebfd")
    sector = code.ljust(17, b"\0") + text.encode() + b"\0"
    return sector.ljust(510, b"\0") + b"\x55\xaa"


def uefi_only():
    """A protective MBR, and a GPT whose one partition is an ESP."""
    mbr = bytearray(512)
    mbr[0x1be:0x1ce] = bytes.fromhex("00000200eeffffff01000000ff070000")
    mbr[510:] = b"\x55\xaa"
    return bytes(mbr) + b"EFI PART".ljust(512, b"\0") + ESP


# what is on the disk, why it does not boot
WHY = [
    (b"", "it is blank"),
    (loader("x")[:510] + b"\0\0", r"its first sector has no boot signature "
     r"\(55 AA\)"),
    (bytes(510) + b"\x55\xaa", "its first sector has no boot loader"),
    (uefi_only(), "it has only a UEFI boot loader; install the package ovmf "
     "and add -bios OVMF.fd"),
    (b"\xcd\x18".ljust(510, b"\0") + b"\x55\xaa", "its boot loader gave up"),
]


class Boot(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix="vmon-boot-")
        self.addCleanup(tmp.cleanup)
        self.dir = pathlib.Path(tmp.name)
        self.disks = 0

    def disk(self, data):
        path = self.dir / f"disk{self.disks}"
        self.disks += 1
        path.write_bytes(data.ljust(1 << 20, b"\0"))
        return f"file={path},format=raw,if=none,id=d{self.disks}"

    def machine(self, *args):
        return vm.Vm("-m", 32, "-vga", "std", *args)

    def boots(self, want, *args):
        with self.machine(*args) as guest:
            guest.expect(want, 20)
            self.shows(guest, want)

    def shows(self, guest, want):
        """The screen; a character is written there and sent one by one."""
        end = time.monotonic() + 20
        while want not in guest.monitor("info screen"):
            self.assertLess(time.monotonic(), end,
                            guest.monitor("info screen"))
            time.sleep(0.02)

    def test_why_not(self):
        for data, why in WHY:
            with self.subTest(why=why), self.machine(
                    "-drive", self.disk(data), "-device",
                    f"virtio-blk-pci,drive=d{self.disks}") as guest:
                line = guest.expect(
                    rf"No bootable device: 'd\d': {why}\.\r\n", 20).group()
                self.shows(guest, line.strip().decode()[:70])
                self.assertIn("No bootable device", guest.output())
        with self.machine() as guest:
            guest.expect("No bootable device: no disk is attached", 20)

    def test_order(self):
        one, two = self.disk(loader("FIRST")), self.disk(loader("SECOND"))
        args = ["-drive", one, "-drive", two, "-device"]
        self.boots("FIRST", *args, "virtio-blk-pci,drive=d1", "-device",
                   "virtio-blk-pci,drive=d2")
        self.boots("SECOND", *args, "virtio-blk-pci,drive=d1", "-device",
                   "virtio-blk-pci,drive=d2,bootindex=1")
        with self.machine("-boot", "order=d,strict=on", *args,
                          "virtio-blk-pci,drive=d1") as guest:
            guest.expect(r"'d1': -boot strict=on, and neither order= nor "
                         r"bootindex= names it\.", 20)
        self.boots("FIRST", "-boot", "order=d,strict=on", *args,
                   "virtio-blk-pci,drive=d1,bootindex=0")

    def test_menu(self):
        one, two = self.disk(loader("FIRST")), self.disk(loader("SECOND"))
        args = ["-drive", one, "-drive", two, "-device",
                "virtio-blk-pci,drive=d1", "-device",
                "virtio-blk-pci,drive=d2"]
        with self.machine("-boot", "menu=on,splash-time=60000",
                          *args) as guest:
            guest.expect("Press ESC for boot menu", 20)
            guest.send("\x1b")
            guest.expect("1. disk d1\r\n2. disk d2\r\n", 20)
            guest.send("9x2")
            guest.expect("SECOND", 20)
        with self.machine("-boot", "menu=on,splash-time=200",
                          *args) as guest:
            guest.expect("Press ESC.*FIRST", 20)
        # By the keyboard.
        with self.machine("-boot", "menu=on,splash-time=60000",
                          *args) as guest:
            guest.expect("Press ESC for boot menu", 20)
            guest.monitor("sendkey esc")
            guest.expect("2. disk d2\r\n", 20)
            guest.monitor("sendkey 2")
            guest.expect("SECOND", 20)

    def package(self, name):
        try:
            return vm.debian_package(name)
        except vm.Skip as e:
            return self.skipTest(str(e))

    def test_seabios(self):
        bios = self.package("seabios") / "usr/share/seabios"
        for name in "bios-256k.bin", "bios.bin":
            with self.subTest(name=name), vm.Vm(
                    "-m", 32, "-bios", bios / name, "-drive",
                    self.disk(loader("LOADED")), "-device",
                    f"virtio-blk-pci,drive=d{self.disks}") as guest:
                guest.expect("Booting from Hard Disk.*LOADED", 30)
                guest.monitor("system_reset")
                guest.expect("Booting from Hard Disk.*LOADED", 30)
                self.assertIn("there is no screen",
                              guest.monitor("info screen"))
                self.assertIn("pc.bios", guest.monitor("info ramblock"))

    def test_seabios_order(self):
        """bootindex= and strict=on reach it, too."""
        bios = self.package("seabios") / "usr/share/seabios/bios-256k.bin"
        args, numbers = [], []
        for text in "FIRST", "SECOND", "THIRD":
            args += ["-drive", self.disk(loader(text))]
            numbers.append(self.disks)
        for indexes, want in (((None, None, None), "FIRST"),
                              ((None, 7, None), "SECOND"),
                              ((None, 7, 3), "THIRD")):
            devices = []
            for number, index in zip(numbers, indexes):
                devices += ["-device", f"virtio-blk-pci,drive=d{number}" + (
                    "" if index is None else f",bootindex={index}")]
            with self.subTest(want=want), vm.Vm(
                    "-m", 32, "-bios", bios, *args, *devices) as guest:
                guest.expect(f"Booting from Hard Disk.*{want}", 30)
        with vm.Vm("-m", 32, "-bios", bios, "-boot", "strict=on", *args,
                   "-device", f"virtio-blk-pci,drive=d{numbers[0]}") as guest:
            guest.expect("No bootable device", 60)

    def test_cd(self):
        iso = self.package("grub-rescue-pc") / \
            "usr/lib/grub-rescue/grub-rescue-cdrom.iso"
        self.boots("GNU GRUB", "-cdrom", iso)
        args = ["-cdrom", iso, "-drive", self.disk(loader("DISK")), "-device",
                "virtio-blk-pci,drive=d1"]
        self.boots("DISK", *args)
        self.boots("GNU GRUB", "-boot", "d", *args)
        # Its menu and its shell, by a terminal's keys.
        with self.machine("-cdrom", iso) as guest:
            guest.expect("automatically in", 30)
            guest.send("c")
            guest.expect("grub> ", 30)
            guest.send("ls\r")
            guest.expect(r"\(cd\)|\(hd\d*\)", 30)
            self.assertIn("ide1-cd0", guest.monitor("info block"))

    def test_ipxe(self):
        """A loader with a driver of its own, which asks INT 1Ah for its NIC."""
        iso = self.package("ipxe") / "usr/lib/ipxe/ipxe.iso"
        with self.machine("-cdrom", iso, "-nic", "user") as guest:
            guest.expect("iPXE initialising devices", 30)
            guest.expect("iPXE [0-9][^\r\n]* -- Open Source Network Boot", 30)
            guest.expect("net0: 52:54:00:12:34:56 using virtio-net", 60)
            guest.expect(r"net0: 10\.0\.2\.15/255\.255\.255\.0", 60)


if __name__ == "__main__":
    try:
        vm.program()
    except vm.Skip as e:
        print(f"skipped: {e}")
        raise SystemExit(77) from e
    unittest.main(verbosity=2)
