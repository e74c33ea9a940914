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

    def test_cpus_come_and_go(self):
        with vm.LinuxVm("-smp", "2,maxcpus=4", monitor=True) as guest:
            guest.boot(400)
            self.assertEqual(self.cpus(guest), "0-1")
            for round in range(3):
                for n in (2, 3):
                    self.assertEqual(guest.monitor(f"cpu_set {n} online"), "")
                    guest.run("c=/sys/devices/system/cpu; for i in $(seq 100); do "
                              f"[ -d $c/cpu{n} ] && break; sleep 0.1; done; "
                              f"echo 1 >$c/cpu{n}/online", 60)
                self.assertEqual(self.cpus(guest), "0-3")
                self.assertEqual(guest.run("for n in 0 1 2 3; do taskset -c $n nproc; done"),
                                 "1\n" * 4)
                self.assertEqual(guest.monitor("info cpus").count("CPU #"), 4)
                # Also one that is busy, and one that the guest has turned off.
                guest.run("taskset -c 3 sh -c 'while :; do :; done' & "
                          "echo 0 >/sys/devices/system/cpu/cpu2/online")
                for n in (2, 3):
                    self.assertEqual(guest.monitor(f"cpu_set -w 30 {n} offline", 40), "")
                self.assertEqual(self.cpus(guest), "0-1")
                self.assertEqual(guest.monitor("info cpus").count("CPU #"), 2)
                # Waited for: a SIGCHLD has the shell drop half a line.
                guest.run("kill $!; wait $!; :")
            # An empty socket stays out of what stops and goes on.
            guest.monitor("stop")
            guest.monitor("cont")
            guest.send("poweroff -f\n")
            self.assertEqual(guest.wait(60), 0)

    @staticmethod
    def cpus(guest):
        return guest.run("cat /sys/devices/system/cpu/online").strip()


if __name__ == "__main__":
    unittest.main()
