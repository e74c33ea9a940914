#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Eight monitors at once while a guest works and devices come and go.

LOAD_COMMANDS (300) is how many commands each sends, LOAD_STALL (5) for how
many seconds one more client sends and reads nothing.  Every answer must be the
one to its question, in order, and memory must not grow by more than LOAD_GROWTH
(16) MiB; sanitizers want 2000, and tell of leaks at the end.
"""
import http.server
import json
import os
import re
import select
import socket
import tempfile
import termios
import threading
import time
import tty
import unittest

import vm

COMMANDS = int(os.environ.get("LOAD_COMMANDS", "300"))
STALL = float(os.environ.get("LOAD_STALL", "5"))
LIMIT = 60 * vm.SLOW  # seconds for one answer
WINDOW = 16           # commands under way
PROMPT = b"(qemu) "
GROWTH = int(os.environ.get("LOAD_GROWTH", "16")) << 20


class Handler(http.server.BaseHTTPRequestHandler):
    """Gives out bytes for as long as somebody takes them, on one connection:
    libslirp holds the buffers of those that have ended for a minute."""
    blob = os.urandom(1 << 20)

    def do_GET(self):
        try:
            self.send_response(200)
            self.end_headers()
            while True:
                self.wfile.write(self.blob)
        except OSError:
            pass  # the guest is gone

    def log_message(self, *args):
        pass


class Wire:
    """Bytes to and from a socket or a pty, with limits."""

    def __init__(self, fd):
        self.fd = fd
        self.got = b""
        os.set_blocking(fd, False)

    def talk(self, data, done):
        """Sends `data`, and reads until done(what came) gives something."""
        end = time.monotonic() + LIMIT
        while True:
            result = done(self.got)
            if result is not None and not data:
                return result
            left = end - time.monotonic()
            if left <= 0:
                raise vm.Failure(f"no answer; {len(data)} bytes unsent, got {self.got[-300:]!r}")
            r, w, _ = select.select([self.fd], [self.fd] if data else [], [], left)
            if w:
                data = data[os.write(self.fd, data):]
            if r:
                more = os.read(self.fd, 1 << 16)
                if not more:
                    raise vm.Failure("the session ended")
                self.got += more

    def close(self):
        os.close(self.fd)


class Session(threading.Thread):
    """Asks, and compares; what went wrong is in `wrong`."""

    def __init__(self, number, fd):
        super().__init__(daemon=True)
        self.number, self.wire = number, Wire(fd)
        self.wrong, self.answers = None, 0

    def run(self):
        try:
            self.greet()
            for first in range(0, COMMANDS, WINDOW):
                self.ask(range(first, min(first + WINDOW, COMMANDS)))
        except (vm.Failure, OSError, ValueError, KeyError) as e:
            self.wrong = f"session {self.number}: {type(e).__name__}: {e}"
        finally:
            self.wire.close()


class Human(Session):
    #  what is typed, and what all of the answer must be
    ASK = (("info status", r"VM status: running\r\n"),
           ("info name", r"loaded\r\n"),
           ("info cpus", r"\* CPU #0:[^\n]*\n  CPU #1:[^\n]*\n"),
           ("info block", r"d0 \([^\n]*\n(    [^\n]*\n)+"),
           ("xp/4xw 0x1000", r"[0-9a-f]{16}:( 0x[0-9a-f]{8}){4}\r\n"),
           ("help stop", r"stop\|s  -- [^\n]*\n"),
           ("nosuch", r"unknown command: 'nosuch'\r\n"),
           ("info registers", r"(?s)\r\nCPU#0\r\nRAX=.*\r\n"),
           ("info network", r"(?s)virtio-net-pci\.0: .* net0: .*\r\n"))

    def greet(self):
        def prompt(got):
            return got if got.endswith(PROMPT) else None
        # A pty's banner may have been for nobody.
        self.wire.talk(b"\n", prompt)
        self.wire.talk(b"p 12345678\n", lambda got: b"\n12345678\r\n" + PROMPT in got or None)
        self.wire.got = b""

    def ask(self, turns):
        lines = []
        for k in turns:
            value = self.number * 1000003 + k
            lines.append((f"p {value}", f"{value}\r\n"))
            if k % 3 == 0:
                lines.append(self.ASK[k // 3 % len(self.ASK)])
        data = "".join(line + "\n" for line, _ in lines).encode()

        def all_there(got):
            parts = got.split(PROMPT)
            return parts if len(parts) > len(lines) else None
        parts = self.wire.talk(data, all_there)
        if len(parts) != len(lines) + 1 or parts[-1]:
            raise vm.Failure(f"{len(parts) - 1} answers to {len(lines)} commands: {parts[-1]!r}")
        for (line, want), part in zip(lines, parts):
            echo, _, answer = part.decode(errors="replace").partition("\r\n")
            if echo != line or not re.fullmatch(want, answer):
                raise vm.Failure(f"{line!r} was answered {part!r}")
            self.answers += 1
        self.wire.got = b""


class Program(Session):
    def greet(self):
        self.wire.talk(b'{"execute":"qmp_capabilities","id":"hello"}\n',
                       lambda got: b'"hello"' in got and got.endswith(b"\n") or None)
        self.wire.got = self.wire.got.rpartition(b"\n")[2]

    def ask(self, turns):
        want, data = [], ""
        for k in turns:
            me = [self.number, k]
            value = self.number * 1000003 + k
            if k % 3 == 0:
                m = {"execute": "human-monitor-command", "id": me,
                     "arguments": {"command-line": f"p/d {value}"}}
                want.append((me, lambda r, value=value: r == f"{value}\r\n"))
            elif k % 3 == 1:
                m = {"execute": "query-status", "id": me}
                want.append((me, lambda r: r["status"] == "running"))
            else:
                m = {"execute": "query-cpus-fast", "id": me}
                want.append((me, lambda r: [c["cpu-index"] for c in r] == [0, 1]))
            data += json.dumps(m) + "\n"

        def all_there(got):
            whole, _, _ = got.rpartition(b"\n")
            found = []
            for line in whole.split(b"\n"):
                try:
                    found.append(json.loads(line))
                except ValueError:
                    if line.strip():
                        raise vm.Failure(f"{line!r} is no JSON, in {got!r}") from None
            found = [v for v in found if "event" not in v]
            return found if len(found) >= len(want) else None
        found = self.wire.talk(data.encode(), all_there)
        for (me, good), v in zip(want, found):
            if v.get("id") != me or not good(v.get("return")):
                raise vm.Failure(f"{me} was answered {v!r}")
            self.answers += 1
        if len(found) != len(want):
            raise vm.Failure(f"{len(found)} answers to {len(want)} commands")
        self.wire.got = self.wire.got.rpartition(b"\n")[2]


class Deaf(threading.Thread):
    """Sends and does not read, then reads."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.wrong = path, None

    def run(self):
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(self.path)
                s.setblocking(False)
                end, sent = time.monotonic() + STALL, 0
                while time.monotonic() < end:
                    try:
                        sent += s.send(b"help\n" * 100)
                    except BlockingIOError:
                        time.sleep(0.05)
                if sent > 4 << 20:
                    self.wrong = f"{sent} bytes taken from who reads nothing"
                s.settimeout(LIMIT)
                got = 0
                while got < 1 << 20:
                    got += len(s.recv(1 << 16))
        except OSError as e:
            self.wrong = f"the deaf one: {e}"


def pty(guest, label):
    """Opened, raw."""
    end = time.monotonic() + LIMIT
    while True:
        m = re.search(rf"redirected to (/dev/pts/\d+) \(label {label}\)", guest.output())
        if m:
            break
        if time.monotonic() > end:
            raise guest.failure("no pty for " + label)
        time.sleep(0.02)
    fd = os.open(m.group(1), os.O_RDWR | os.O_NOCTTY)
    tty.setraw(fd, termios.TCSANOW)
    return fd


def unix(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    return s.detach()


def private(guest):
    """Resident bytes that are neither guest RAM nor translated code."""
    return sum(rss for head, rss in vm.mappings(guest.process.pid)
               if "/memfd:" not in head)


class Load(unittest.TestCase):
    def test_eight_monitors(self):
        with tempfile.TemporaryDirectory() as folder, socket.socket() as human, \
                socket.socket() as program, \
                http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            disk = os.path.join(folder, "disk")
            with open(disk, "wb") as f:
                f.truncate(16 << 20)
            # Ours, and vmon connects to them: no port is guessed.
            for s in (human, program):
                s.bind(("127.0.0.1", 0))
                s.listen(1)
                s.settimeout(LIMIT)
            args = ["-smp", "2", "-name", "loaded", "-nic", "user,id=net0",
                    "-drive", f"file={disk},if=virtio,format=raw,id=d0"]
            for n in range(3):
                args += ["-monitor", f"unix:{folder}/h{n},server=on,wait=off"]
            args += ["-qmp", f"unix:{folder}/q,server=on,wait=off",
                     "-monitor", f"tcp:127.0.0.1:{human.getsockname()[1]}",
                     "-qmp", f"tcp:127.0.0.1:{program.getsockname()[1]}",
                     "-monitor", "pty", "-monitor", "pty", "-qmp", "pty"]
            with vm.LinuxVm(*args, monitor=True) as guest:
                self.play(guest, folder, server.server_port,
                          human.accept()[0].detach(), program.accept()[0].detach())

    def play(self, guest, folder, port, human, program):
        guest.boot(400)
        guest.run("ip link set eth0 up; udhcpc -i eth0 -n -q >/dev/null 2>&1", 60)
        guest.run("(while :; do dd if=/dev/vda of=/dev/null bs=64k iflag=direct; "
                  "dd if=/dev/zero of=/dev/vda bs=64k count=64 oflag=direct; "
                  "done) >/dev/null 2>&1 &")
        guest.run(f"(while :; do wget -q -O /dev/null http://10.0.2.2:{port}/ || sleep 1; "
                  "done) >/dev/null 2>&1 &")
        before = private(guest)
        # The first monitor is the test's own.
        sessions = [Human(1, unix(f"{folder}/h0")), Human(2, unix(f"{folder}/h1")),
                    Human(3, human), Human(4, pty(guest, "compat_monitor7")),
                    Human(5, pty(guest, "compat_monitor8")),
                    Program(6, unix(f"{folder}/q")), Program(7, program),
                    Program(8, pty(guest, "compat_monitor9"))]
        deaf = Deaf(f"{folder}/h2")
        started = time.monotonic()
        for s in sessions + [deaf]:
            s.start()
        plugged = 0
        while any(s.is_alive() for s in sessions + [deaf]):
            name = f"r{plugged}"
            self.assertEqual(guest.monitor(f"device_add virtio-rng-pci,id={name}", 60), "")
            self.assertEqual(guest.monitor(f"device_del -w 60 {name}", 80), "")
            plugged += 1
        took = time.monotonic() - started
        self.assertEqual([s.wrong for s in sessions + [deaf] if s.wrong], [])
        for s in sessions:
            self.assertGreaterEqual(s.answers, COMMANDS)
        self.assertGreater(plugged, 0)
        grown = private(guest) - before
        print(f"{sum(s.answers for s in sessions)} answers, {plugged} devices, "
              f"{took:.1f} s, memory grown by {grown >> 10} KiB")
        self.assertLess(grown, GROWTH)
        self.assertIn("rd_bytes", guest.monitor("info blockstats"))
        self.assertEqual(guest.run("echo alive", 60), "alive\n")
        guest.send("poweroff -f\n")
        self.assertEqual(guest.wait(60), 0)


if __name__ == "__main__":
    unittest.main()
