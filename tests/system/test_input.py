#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys that the monitor types reach a Linux guest through its keyboard."""
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


if __name__ == "__main__":
    unittest.main()
