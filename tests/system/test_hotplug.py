#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Devices come and go while Debian's kernel runs."""
import os
import tempfile
import unittest

import vm


class Hotplug(unittest.TestCase):
    def test_devices_come_and_go(self):
        with tempfile.TemporaryDirectory() as folder, \
                vm.LinuxVm("-smp", "2", monitor=True) as guest:
            disk = os.path.join(folder, "disk")
            with open(disk, "wb") as f:
                f.write(b"plugged in" + b"\0" * ((1 << 20) - 10))
            guest.boot(400)
            self.assertNotIn("vd", guest.run("ls /sys/block"))
            for round in range(3):
                self.assertEqual(guest.monitor(
                    f"drive_add 0 if=none,id=d1,format=raw,file={disk}"), "OK\n")
                self.assertEqual(guest.monitor(
                    "device_add virtio-blk-pci,id=b1,drive=d1"), "")
                self.assertEqual(guest.monitor("device_add virtio-rng-pci,id=r1"), "")
                guest.run("for i in $(seq 100); do [ -b /dev/vda ] && break; "
                          "sleep 0.1; done; [ -b /dev/vda ]", 60)
                self.assertEqual(guest.run("dd if=/dev/vda bs=10 count=1 2>/dev/null"),
                                 "plugged in")
                self.assertEqual(guest.monitor("device_del -w 30 b1", 40), "")
                self.assertEqual(guest.monitor("device_del -w 30 r1", 40), "")
                guest.run("[ ! -e /sys/block/vda ]")
                self.assertNotIn("d1", guest.monitor("info block"))
                self.assertNotIn("b1", guest.monitor("info pci"))
            # One leaves while the guest still looks for it, and the next takes
            # its slot: the guest must not meet half of either.
            for n in range(150):
                self.assertEqual(guest.monitor(f"device_add virtio-rng-pci,id=q{n}"), "")
                self.assertEqual(guest.monitor(f"device_del -w 30 q{n}", 40), "")
            guest.send("poweroff -f\n")
            self.assertEqual(guest.wait(60), 0)


if __name__ == "__main__":
    unittest.main()
