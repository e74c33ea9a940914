#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Signals, exit status, the terminal, going into the background."""
import fcntl
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
import unittest

import vm


def until(what, test, timeout=10):
    end = time.monotonic() + timeout * vm.SLOW
    while not test():
        if time.monotonic() > end:
            raise vm.Failure(f"never: {what}")
        time.sleep(0.02)


def alive(pid):
    """Whether a thread of it is left: the last one closes its files."""
    for task in pathlib.Path("/proc").glob(f"{pid}/task/*/stat"):
        try:
            stat = task.read_text()
        except OSError:
            continue
        if stat[stat.rindex(")") + 2] not in "ZX":
            return True
    return False


class Signals(unittest.TestCase):
    def ends(self, number, *args):
        with vm.Vm(*args) as guest:
            guest.process.send_signal(number)
            self.assertEqual(guest.wait(), 0)
            self.assertRegex(guest.output(),
                             rf"^vmon: terminating on signal {number:d} from "
                             rf"pid {os.getpid()} \(.*\)\n$")

    def test_term(self):
        self.ends(signal.SIGTERM)

    def test_term_stopped(self):
        self.ends(signal.SIGTERM, "-S", "-smp", "2")

    def test_int(self):
        self.ends(signal.SIGINT)

    def test_hangup(self):
        self.ends(signal.SIGHUP)

    def test_broken_pipe(self):
        """Nobody there any more to read the serial port."""
        with vm.Vm() as guest:
            os.close(guest.serial.fd)
            guest.serial.fd = -1
            guest.process.send_signal(signal.SIGPIPE)
            self.assertIn("running", guest.monitor("info status"))


class ExitStatus(unittest.TestCase):
    def test_debug_exit(self):
        """What the guest writes, doubled, plus one."""
        for value, status in ((0, 1), (1, 3), (0x31, 0x63), (0x80, 1)):
            with vm.Vm("-S", "-device",
                       "isa-debug-exit,iobase=0xf4,iosize=0x04") as guest:
                guest.mon.write(f"o /b 0xf4 {value}\n")
                self.assertEqual(guest.wait(), status)

    def test_quit(self):
        with vm.Vm() as guest:
            guest.mon.write("quit\n")
            self.assertEqual(guest.wait(), 0)


class Terminal(unittest.TestCase):
    """vmon in the foreground of a terminal of its own."""

    def setUp(self):
        self.leader, self.follower = os.openpty()
        self.addCleanup(os.close, self.leader)
        self.addCleanup(os.close, self.follower)
        self.before = self.state()
        self.text = b""

    def state(self):
        return (termios.tcgetattr(self.follower),
                fcntl.fcntl(self.follower, fcntl.F_GETFL))

    def start(self, *args):
        self.process = subprocess.Popen(
            [vm.program(), "-accel", "tcg", "-nodefaults", *args],
            stdin=self.follower, stdout=self.follower, stderr=self.follower,
            start_new_session=True)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        until("raw mode", lambda: self.state()[0] != self.before[0])

    def see(self, text):
        def read():
            if select.select([self.leader], [], [], 0)[0]:
                self.text += os.read(self.leader, 4096)
            return text in self.text
        until(repr(text), read)

    def end(self):
        self.assertEqual(self.process.wait(10 * vm.SLOW), 0)
        self.assertEqual(self.state(), self.before)

    def test_term(self):
        self.start("-display", "none", "-serial", "mon:stdio")
        self.process.terminate()
        self.end()

    def test_int(self):
        self.start("-display", "none", "-monitor", "stdio")
        self.see(b"(qemu) ")
        self.process.send_signal(signal.SIGINT)
        self.end()

    def test_escape(self):
        self.start("-nographic", "-serial", "mon:stdio")
        os.write(self.leader, b"\x01x")
        self.end()

    def test_quit(self):
        self.start("-nographic", "-serial", "mon:stdio")
        os.write(self.leader, b"\x01c")
        self.see(b"(qemu) ")
        os.write(self.leader, b"quit\r")
        self.end()

    def test_bad_input(self):
        """Refused after the terminal was set up."""
        p = subprocess.run(
            [vm.program(), "-accel", "tcg", "-nodefaults", "-display", "none",
             "-serial", "mon:stdio", "-monitor", "unix:/nosuch/monitor"],
            stdin=self.follower, stdout=self.follower,
            stderr=subprocess.PIPE, timeout=10 * vm.SLOW, check=False)
        self.assertEqual(p.returncode, 1)
        self.assertEqual(self.state(), self.before)

    def test_interrupt_key_is_the_guests(self):
        self.start("-display", "none", "-serial", "mon:stdio")
        os.write(self.leader, b"\x03\x1c")
        time.sleep(0.3)
        self.assertIsNone(self.process.poll())
        os.write(self.leader, b"\x01x")
        self.end()


@unittest.skipUnless(os.getuid() == 0, "mounts a file system")
class FullDisk(unittest.TestCase):
    """A file system with no room for the log, and then with some."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="vmon-test-")
        self.addCleanup(shutil.rmtree, self.dir)
        try:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64K", "none",
                            self.dir], check=True, capture_output=True)
        except subprocess.CalledProcessError:
            self.skipTest("may not mount a file system")
        self.addCleanup(subprocess.run, ["umount", "-l", self.dir], check=True)
        self.filler = os.path.join(self.dir, "filler")

    def fill(self):
        with open(self.filler, "wb", buffering=0) as f:
            try:
                while f.write(bytes(512)):
                    pass
            except OSError:
                pass

    def lines_lost(self, path):
        with open(path) as f:
            text = f.read()
        lost = re.findall(r"(?m)^\[(\d+) lines lost: No space left on "
                             r"device\]$", text)
        self.assertEqual(len(lost), 1, text)
        return int(lost[0]), text

    def test_log(self):
        log = os.path.join(self.dir, "log")
        with vm.Vm("-S", "-d", "cpu_reset", "-D", log) as v:
            self.fill()
            for _ in range(40):
                v.monitor("system_reset")
            os.unlink(self.filler)
            v.monitor("system_reset")
            self.assertEqual(v.output().count("the log file takes no more "
                                              "lines: No space left on device"),
                             1)
        lost, text = self.lines_lost(log)
        self.assertGreater(lost, 0)
        self.assertRegex(text, r"lines lost: [^\n]*\nCPU Reset \(CPU 0\)\n")

    def test_trace(self):
        path = os.path.join(self.dir, "trace")
        with vm.Vm("-S") as v:
            self.assertEqual(v.monitor(f"trace-file set {path}"), "")
            self.assertEqual(v.monitor("trace-event * on"), "")
            self.fill()
            for _ in range(3):
                v.monitor("i /1b 0x64")
                v.monitor("o /1b 0x43 0x12")
            said = v.monitor("trace-file")
            os.unlink(self.filler)
            v.monitor("i /1b 0x64")
            v.monitor("o /1b 0x43 0x12")
            self.assertEqual(v.output().count("the trace file takes no more"), 1)
        self.assertRegex(said, r'^Trace file "[^"]*" on\.\n\d+ lines lost: '
                         r"No space left on device\n$")
        self.lines_lost(path)


class Background(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="vmon-process-"))
        self.addCleanup(shutil.rmtree, self.dir)
        self.pidfile = self.dir / "pid"
        self.socket = self.dir / "monitor"
        self.pids = []
        self.addCleanup(self.kill_all)

    def kill_all(self):
        for pid in self.pids:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)

    def start(self, *args):
        p = subprocess.run(
            [vm.program(), "-accel", "tcg", "-display", "none", "-nodefaults",
             "-daemonize", "-pidfile", self.pidfile.name, *args],
            cwd=self.dir, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=20 * vm.SLOW, check=False)
        if p.returncode == 0:
            self.pids.append(int(self.pidfile.read_text()))
        return p

    def test_life(self):
        p = self.start("-monitor", f"unix:{self.socket.name},server=on,wait=off")
        self.assertEqual((p.returncode, p.stdout, p.stderr), (0, "", ""))
        pid, = self.pids
        self.assertTrue(alive(pid))
        self.assertTrue(self.socket.exists())
        self.assertEqual(os.getsid(pid) != os.getsid(0), True)
        self.assertEqual(os.readlink(f"/proc/{pid}/cwd"), "/")
        os.kill(pid, signal.SIGHUP)
        time.sleep(0.3)
        self.assertTrue(alive(pid))
        os.kill(pid, signal.SIGTERM)
        until("the end", lambda: not alive(pid))
        self.assertEqual(list(self.dir.iterdir()), [])

    def test_pid_file_in_use(self):
        self.assertEqual(self.start().returncode, 0)
        text = self.pidfile.read_text()
        p = self.start()
        self.assertEqual(p.returncode, 1)
        self.assertEqual(p.stderr.count("\n"), 1)
        self.assertIn(f"PID file '{self.pidfile.name}'", p.stderr)
        self.assertEqual(self.pidfile.read_text(), text)

    def test_killed(self):
        """What kill -9 leaves behind is in nobody's way."""
        disk = self.dir / "disk"
        disk.write_bytes(bytes(1 << 20))
        args = ("-monitor", f"unix:{self.socket},server=on,wait=off",
                "-drive", f"file={disk},format=raw,if=virtio")
        for _ in range(2):
            p = self.start(*args)
            self.assertEqual((p.returncode, p.stderr), (0, ""))
            os.kill(self.pids[-1], signal.SIGKILL)
            until("the end", lambda: not alive(self.pids[-1]))
            self.assertTrue(self.pidfile.exists())
            self.assertTrue(self.socket.exists())


if __name__ == "__main__":
    try:
        vm.program()
    except vm.Skip as e:
        print(f"skipped: {e}")
        sys.exit(77)
    unittest.main(verbosity=1)
