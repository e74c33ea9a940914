#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Noise for a whole vmon: lines for the monitor, options for its start.

FUZZ_SECONDS (1) says how long each goes on, FUZZ_SEED (1) what they do.  vmon
must stay there and answer, or end with one of its own exit codes; under a
sanitizer build its reports are failures.
"""
import os
import random
import re
import selectors
import subprocess
import sys
import tempfile
import time
import unittest

VMON = os.environ.get("VMON", "vmon")
SECONDS = float(os.environ.get("FUZZ_SECONDS", "1"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
PROMPT = b"(qemu) "
SANITIZER = 99
ENV = dict(os.environ, ASAN_OPTIONS=f"exitcode={SANITIZER}",
           UBSAN_OPTIONS=f"halt_on_error=1:exitcode={SANITIZER}")

WORDS = """on off 0 1 -1 2 3 16 255 256 65535 65536 4294967295 4294967296
18446744073709551615 99999999999999999999 0x 0x10 0xffffffffffffffff 1k 1.5M
1T $rip $rax $eflags $nosuch (1+2)*3 1/0 1%0 ((((( 100+200 -s -n -a /x /10i
/100xg /4bx /s /c /999999999x /0x /i drive0 net0 serial0 mon0 c0 d0 all none
out disk /dev/null . nosuch id=a,b=c null,id=x file=disk,if=none,id=q a.b
info help quit? %s%n "quoted" "open \\ ' ; | > ,, = , \t 03.0 b c d e
virtio-rng-pci,id=g isa-debug-exit user,id=u up down raw 16 64 gva gpa
""".split(" ")
WORDS = [w for line in WORDS for w in line.split("\n") if w]


def noise(rng):
    """A word, sensible or not."""
    kind = rng.randrange(12)
    if kind == 0:
        return "A" * rng.randrange(5000)
    if kind == 1:
        return "".join(chr(rng.randrange(32, 127)) for _ in range(rng.randrange(20)))
    if kind == 2:
        return str(rng.getrandbits(rng.randrange(1, 70)))
    return rng.choice(WORDS)


class Monitor:
    """vmon with a monitor on its standard streams."""

    def __init__(self, folder):
        with open(os.path.join(folder, "disk"), "wb") as f:
            f.truncate(1 << 20)
        self.p = subprocess.Popen(
            [VMON, "-S", "-accel", "tcg", "-m", "16", "-nodefaults",
             "-display", "none", "-monitor", "stdio", "-smp", "2",
             "-chardev", "ringbuf,id=c0", "-serial", "null",
             "-drive", "file=disk,if=none,id=d0,format=raw",
             "-device", "virtio-blk-pci,drive=d0,id=drive0",
             "-netdev", "user,id=net0",
             "-device", "virtio-net-pci,netdev=net0",
             "-device", "virtio-balloon-pci", "-device", "virtio-rng-pci"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd=folder, env=ENV)
        os.set_blocking(self.p.stdin.fileno(), False)
        os.set_blocking(self.p.stdout.fileno(), False)
        os.set_blocking(self.p.stderr.fileno(), False)
        self.sel = selectors.DefaultSelector()
        self.sel.register(self.p.stdout, selectors.EVENT_READ, "out")
        self.sel.register(self.p.stderr, selectors.EVENT_READ, "err")
        self.err = self.unsent = b""
        self.wait(PROMPT)

    def wait(self, mark, seconds=60):
        """Everything up to `mark` and the prompt behind it; None when vmon
        has ended."""
        got, end = b"", time.monotonic() + seconds
        while mark not in got or not got.endswith(PROMPT):
            if time.monotonic() > end:
                raise AssertionError(f"no answer; got {got[-300:]!r}")
            self.send(b"")
            for key, _ in self.sel.select(0.1 if self.unsent else 1):
                data = key.fileobj.read()
                if key.data == "err":
                    self.err += data or b""
                    self.err = self.err[-100000:]
                elif not data:
                    return None
                else:
                    got = got[-65536:] + data
        return got

    def send(self, data):
        """Sends what there is room for; wait() sends the rest."""
        self.unsent += data
        try:
            while self.unsent:
                n = os.write(self.p.stdin.fileno(), self.unsent)
                self.unsent = self.unsent[n:]
        except (BlockingIOError, BrokenPipeError):
            pass

    def close(self):
        self.p.kill()
        self.p.wait()
        self.sel.close()
        for f in (self.p.stdin, self.p.stdout, self.p.stderr):
            f.close()


class Fuzz(unittest.TestCase):
    def setUp(self):
        print(f"{self.id()}: FUZZ_SEED={SEED}", file=sys.stderr)
        self.rng = random.Random(SEED)

    def commands(self, mon):
        """Names from `help` and `info`."""
        mon.send(b"help\n")
        names = re.findall(rb"^([a-z_|-]+)\s.*-- ", mon.wait(PROMPT), re.M)
        mon.send(b"info\n")
        infos = re.findall(rb"^info ([a-z-]+)", mon.wait(PROMPT), re.M)
        names = {n.decode() for word in names for n in word.split(b"|")}
        # These end it, or take as long as they are told to.
        names -= {"quit", "q", "system_powerdown", "repeat", "watch"}
        return sorted(names) + ["info " + i.decode() for i in infos]

    def line(self, names):
        rng = self.rng
        words = [rng.choice(names) if rng.randrange(12) else noise(rng)]
        words += [noise(rng) for _ in range(rng.randrange(5))]
        line = " ".join(words).replace("/dev/null", "out")
        if rng.randrange(8) == 0:  # keys: edit, complete, history
            line += "".join(chr(rng.choice(
                [1, 2, 4, 5, 6, 8, 9, 9, 11, 14, 16, 20, 21, 23, 127]))
                for _ in range(rng.randrange(6)))
            line += rng.choice(["", "\x1b[A", "\x1b[3~", "\x1b[", "\x1bOH"])
        return line.encode() + b"\n"

    def test_monitor_lines(self):
        with tempfile.TemporaryDirectory() as folder:
            mon, n = Monitor(folder), 0
            try:
                names = self.commands(mon)
                self.assertGreater(len(names), 40)
                end = time.monotonic() + SECONDS
                while time.monotonic() < end:
                    lines = [self.line(names) for _ in range(20)]
                    # An open quote or key sequence ends with the line.
                    mark = b"mark%d" % n
                    mon.send(b"".join(lines) + b"\n\nnosuch" + mark + b"\n")
                    got = mon.wait(b"unknown command: 'nosuch" + mark)
                    if got is None and mon.p.wait(10) == 0:
                        mon.close()  # edited lines may come out as "q"
                        mon = Monitor(folder)
                    elif got is None:
                        self.fail(
                            f"vmon ended with {mon.p.returncode}: "
                            f"{mon.err.decode(errors='replace')}\nafter "
                            + "\n".join(repr(l[:200]) for l in lines))
                    n += 20
                    # What a command makes stays small.
                    for name in os.listdir(folder):
                        path = os.path.join(folder, name)
                        if name != "disk" and os.path.isfile(path):
                            os.unlink(path)
                self.assertNotIn(b"runtime error", mon.err)
                print(f"{n} lines", file=sys.stderr)
            finally:
                mon.close()

    def options(self):
        """Names of options and of devices, as vmon lists them."""
        text = subprocess.run([VMON, "-help"], stdout=subprocess.PIPE,
                              env=ENV).stdout.decode()
        names = {n for line in text.splitlines()
                 for n in re.findall(r"^(-[\w-]+)", line)}
        text = subprocess.run([VMON, "-device", "help"], env=ENV,
                              stdout=subprocess.PIPE).stdout.decode()
        devices = re.findall(r'name "([^"]+)"', text)
        names -= {"-daemonize", "-help", "-h", "-version", "-pidfile",
                  "-D"}
        return sorted(names), devices

    def test_command_lines(self):
        rng = self.rng
        names, devices = self.options()
        self.assertGreater(len(names), 30)
        self.assertGreater(len(devices), 5)
        end, n = time.monotonic() + SECONDS, 0
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "disk"), "wb") as f:
                f.truncate(1 << 20)
            while time.monotonic() < end:
                args = []
                for _ in range(rng.randrange(8)):
                    args.append(rng.choice(names))
                    value = rng.choice(devices) if rng.randrange(2) else noise(rng)
                    if rng.randrange(2):
                        value += "," + noise(rng) + "=" + noise(rng)
                    if rng.randrange(4):
                        args.append(value.replace("\0", ""))
                # Whatever they are, the last one ends it.
                args += ["-S", "-monitor", "none", "-device", "nosuch-device"]
                r = subprocess.run([VMON, *args], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, env=ENV,
                                   stderr=subprocess.PIPE, cwd=folder,
                                   timeout=60)
                ok = r.returncode in (0, 1) and b"runtime error" not in r.stderr
                self.assertTrue(ok, f"status {r.returncode} for {args}:\n"
                                + r.stderr.decode(errors="replace"))
                if r.returncode == 1:
                    self.assertTrue(r.stderr.strip(), f"no word for {args}")
                n += 1
        print(f"{n} command lines", file=sys.stderr)


if __name__ == "__main__":
    unittest.main()
