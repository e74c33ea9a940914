#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the monitor does to a Linux guest, and what it shows of one."""
import re
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


if __name__ == "__main__":
    unittest.main()
