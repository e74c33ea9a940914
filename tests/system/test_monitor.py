#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the monitor does to a Linux guest, and what it shows of one."""
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest

from vm import LinuxVm


class Keys(unittest.TestCase):
    def test_magic_sysrq(self):
        """Alt-SysRq-h makes the kernel list what it offers."""
        with LinuxVm(append="sysrq_always_enabled loglevel=7") as vm:
            vm.boot()
            self.assertEqual(vm.monitor("sendkey alt-sysrq-h"), "")
            vm.expect(r"sysrq: HELP : ", 30)
            # Print is the same key.
            vm.monitor("sendkey alt-print-h 20")
            vm.expect(r"sysrq: HELP : ", 30)

    def test_reboot(self):
        """Ctrl-Alt-Delete restarts the kernel, which -no-reboot ends."""
        with LinuxVm() as vm:
            vm.boot()
            self.assertEqual(vm.monitor("sendkey ctrl-alt-delete"), "")
            self.assertEqual(vm.wait(60), 0)


class Virtio(unittest.TestCase):
    def test_queues_in_use(self):
        with LinuxVm("-device", "virtio-rng-pci,id=r",
                     modules=LinuxVm.MODULES + ("virtio_rng",)) as vm:
            vm.boot()
            trace = vm.dir / "trace"
            self.assertEqual(vm.monitor("trace-event virtio_* on"), "")
            self.assertEqual(vm.monitor(f"logfile {trace}"), "")
            vm.run("head -c 100 /dev/hwrng >/dev/null")
            self.assertEqual(vm.monitor("trace-event virtio_* off"), "")
            self.assertRegex(trace.read_text(),
                             r"(?m)^virtio_notify virtio-rng.*: queue 0$")
            status = vm.monitor("info virtio-status r")
            self.assertIn("  started:                 true\n", status)
            self.assertIn("VIRTIO_CONFIG_S_DRIVER_OK", status)
            guest = status[status.index("Guest features"):status.index("Host features")]
            self.assertIn("\tVIRTIO_F_VERSION_1: ", guest)
            queue = vm.monitor("info virtio-queue-status r 0")
            self.assertNotIn("desc:         0x0000000000000000", queue)
            used = int(re.search(r"used_idx: +(\d+)", queue).group(1))
            self.assertGreater(used, 0)
            # The last buffer that was used: one that the device wrote to.
            element = vm.monitor(f"info virtio-queue-element r 0 {used - 1}")
            self.assertRegex(element, r"    descs:\n        addr 0x[0-9a-f]{3,} len \d+ "
                             r"\(write\)\n  avail:\n")
            self.assertRegex(element, rf"  used:\n    flags: \d\n    idx:   {used}\n")

    def test_stuck(self):
        """A request that a limit keeps in the device."""
        disk = tempfile.NamedTemporaryFile()
        self.addCleanup(disk.close)
        disk.truncate(1 << 20)
        with LinuxVm("-drive", f"if=none,id=d,format=raw,file={disk.name}",
                     "-device", "virtio-blk-pci,drive=d,id=disk") as vm:
            vm.boot()
            self.assertRegex(vm.monitor("info virtqueue"),
                             r"(?m)^disk \(virtio-blk\) queue 0: idle, 0 in the device, ")
            vm.monitor("block_set_io_throttle d 512 0 0 0 0 0")
            vm.run("(dd if=/dev/vda of=/dev/null bs=64k count=8 &) >/dev/null 2>&1")
            end = time.monotonic() + 30
            while ": stuck, " not in vm.monitor("info virtqueue"):
                self.assertLess(time.monotonic(), end)
                time.sleep(0.2)
            rows = json.loads(vm.monitor("info virtqueue -j"))
            row = [r for r in rows if r["device"] == "disk"][0]
            self.assertEqual(row["state"], "stuck")
            self.assertGreater(row["inuse"], 0)
            self.assertIn(": busy, ", vm.monitor("info virtqueue 3600"))
            vm.monitor("block_set_io_throttle d 0 0 0 0 0 0")
            end = time.monotonic() + 30
            while ": stuck, " in vm.monitor("info virtqueue"):
                self.assertLess(time.monotonic(), end)
                time.sleep(0.2)


class Steal(unittest.TestCase):
    def test_waited(self):
        """A vCPU that shares a processor with something else."""
        cpu = min(os.sched_getaffinity(0))
        with LinuxVm() as vm:
            vm.boot()
            vm.run("(while :; do :; done &) >/dev/null 2>&1")
            before = json.loads(vm.monitor("info steal -j"))[0]
            for task in os.listdir(f"/proc/{vm.process.pid}/task"):
                os.sched_setaffinity(int(task), {cpu})
            rival = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            try:
                os.sched_setaffinity(rival.pid, {cpu})
                time.sleep(2)
            finally:
                rival.kill()
                rival.wait()
            after = json.loads(vm.monitor("info steal -j"))[0]
            self.assertGreater(after["waited-ns"] - before["waited-ns"], 3e8)
            self.assertGreater(after["ran-ns"], before["ran-ns"])
            self.assertRegex(vm.monitor("info steal"),
                             r"^CPU #0: ran [\d.]+ s, waited [\d.]+ s for a "
                             r"processor of the host \([\d.]+ %\); ")


if __name__ == "__main__":
    unittest.main()
