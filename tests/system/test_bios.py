#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots a Debian image from its own GRUB: menu, login, reboot, power off.

The image is made by tests/images/build, as root, and kept in ~/.cache/vmon.
"""
import os
import pathlib
import select
import subprocess
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
IMAGE = pathlib.Path.home() / ".cache/vmon/images/debian-12-nocloud-bios.raw"
BOOT_S = 300


def image():
    if not IMAGE.exists():
        if os.geteuid():
            raise unittest.SkipTest("making the image needs root")
        subprocess.run(
            [HERE.parent / "images/build", "--vendor", "nocloud", "--boot",
             "bios", "--size", "1G", "--comp", "none", "--raw",
             "--grub-timeout", "1", "-o", IMAGE.with_suffix("")],
            check=True, stdout=sys.stderr)
    return IMAGE


class Console:
    def __init__(self, process):
        self.process, self.text, self.seen = process, "", 0

    def wait(self, what):
        """Until `what` comes behind what was waited for before."""
        end = time.monotonic() + BOOT_S
        while self.text.find(what, self.seen) < 0:
            left = end - time.monotonic()
            ready = select.select([self.process.stdout], [], [], max(left, 0))
            data = os.read(self.process.stdout.fileno(), 65536) \
                if ready[0] else b""
            if not data:
                raise AssertionError(f"no '{what}' after:\n"
                                     + self.text[-2000:])
            self.text += data.decode(errors="replace")
        self.seen = self.text.find(what, self.seen) + len(what)

    def type(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()


class Grub(unittest.TestCase):
    def test_login_reboot_poweroff(self):
        with subprocess.Popen(
                [os.environ["VMON"], "-accel", "tcg", "-m", "1G",
                 "-nodefaults", "-display", "none", "-serial", "stdio",
                 "-vga", "std",
                 "-drive",
                 f"file={image()},format=raw,if=virtio,snapshot=on"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            try:
                self.walk(Console(process), process.pid)
                self.assertEqual(process.wait(timeout=60), 0)
            finally:
                process.kill()

    def screen(self, pid, what):
        """Until `what` is on the VGA's screen."""
        end = time.monotonic() + 60
        while True:
            done = subprocess.run(
                [os.environ["VMON"], "ctl", str(pid), "info", "screen"],
                capture_output=True, text=True, timeout=60, check=True)
            if what in done.stdout:
                return
            self.assertLess(time.monotonic(), end, done.stdout)
            time.sleep(0.2)

    def walk(self, console, pid):
        for command in "touch /root/kept; sync; reboot", \
                       "ls /root/kept && poweroff":
            console.wait("GRUB loading")
            console.wait("GNU GRUB")
            console.wait("Linux version 6.1")
            console.wait("login: ")
            self.screen(pid, "localhost login:")
            console.type("root")
            console.wait("# ")
            console.type(command)


if __name__ == "__main__":
    unittest.main()
