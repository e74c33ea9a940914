#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`vmon ctl` and the door it uses, on real machines.

    ctl.py VMON GUEST
"""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from peer import ACCEL, PROMPT, TIMEOUT, Failure, check  # noqa: E402


class World:
    """A runtime directory of its own, and machines in it."""

    def __init__(self, vmon, guest):
        self.vmon, self.guest = vmon, guest
        self.tmp = tempfile.mkdtemp(prefix="vmon-ctl-")
        self.env = dict(os.environ, XDG_RUNTIME_DIR=self.tmp)
        self.machines = []

    def start(self, name, *args):
        p = subprocess.Popen(
            [self.vmon, "-nodefaults", "-display", "none", "-m", "16", "-kernel",
             self.guest, "-name", name, *args] + ACCEL,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=self.env)
        self.machines.append(p)
        end = time.time() + TIMEOUT
        while self.ctl(name, "info", "name")[0] == 2:
            check(p.poll() is None and time.time() < end, "%s does not start" % name)
            time.sleep(0.02)
        return p

    def ctl(self, *args):
        p = subprocess.run([self.vmon, "ctl", *args], env=self.env, timeout=3 * TIMEOUT,
                           stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return p.returncode, p.stdout, p.stderr

    def end(self):
        for p in self.machines:
            if p.poll() is None:
                p.kill()
            p.wait()
            p.stdout.close()
        shutil.rmtree(self.tmp)


def expect(w, args, status, out=None, err=None):
    got = w.ctl(*args)
    check(got[0] == status, "ctl %s: %r" % (args, got))
    check(out is None or out == got[1], "ctl %s: %r" % (args, got))
    check(err is None or err in got[2], "ctl %s: %r" % (args, got))


def commands(w, a):
    expect(w, ["one", "info", "status"], 0, "VM status: paused (prelaunch)\n", "")
    expect(w, [str(a.pid), "info", "name"], 0, "one\n")
    expect(w, ["one", "print 100+200"], 0, "300\n")
    expect(w, ["one", "set_link", "x", "on"], 1, "", "Error: Device 'x' not found")
    expect(w, ["one", "nosuch"], 1, "", "unknown command: 'nosuch'")
    expect(w, ["one", "p", "1/0"], 1, "")
    expect(w, ["one", "savevm"], 1, "")
    expect(w, ["none", "info", "status"], 2, "", "no machine 'none'")
    expect(w, ["999999999", "info", "status"], 2)
    expect(w, ["/nonexistent", "info", "status"], 2)
    expect(w, ["one"], 1, "", "usage:")
    expect(w, ["--timeout", "x", "one", "help"], 1, "", "usage:")
    got = w.ctl("--json", "one", "info", "status")
    check(json.loads(got[1]) == {"status": "prelaunch", "running": False}, got)
    got = w.ctl("--json", "one", "set_link", "x", "on")
    check(got[0] == 1 and json.loads(got[1])["ok"] is False, got)
    got = w.ctl("--json", "one", "stop")
    check(got[0] == 0 and json.loads(got[1]) == {"ok": True, "output": ""}, got)


def lists(w, a, b):
    got = w.ctl("--json", "list")
    machines = sorted((m["name"], m["pid"], m["status"]) for m in json.loads(got[1]))
    check(machines == [("one", a.pid, "prelaunch"), ("two", b.pid, "prelaunch")], got)
    check("one" in w.ctl("list")[1], "list")


def waits(w):
    expect(w, ["--timeout", "0.3", "one", "wait", "running"], 3, "", "no answer in time")
    t = threading.Timer(0.3, lambda: w.ctl("one", "cont"))
    t.start()
    expect(w, ["--timeout", str(TIMEOUT), "one", "wait", "running"], 0)
    t.join()
    expect(w, ["one", "stop"], 0)
    expect(w, ["--timeout", str(TIMEOUT), "one", "wait", "paused"], 0)
    expect(w, ["one", "wait", "moon"], 1)
    expect(w, ["--timeout", "0.3", "one", "wait", "login"], 3)


def login(w, serial):
    """Port 0xe9 is a console of the guest's, here written by the monitor."""
    for c in b"\nhost login: ":
        w.ctl("one", "o /b 0xe9 %d" % c)
    expect(w, ["--timeout", str(TIMEOUT), "one", "wait", "login"], 0)
    w.ctl("one", "system_reset")
    expect(w, ["--timeout", "0.3", "one", "wait", "login"], 3)


def by_path(w, hmp, pty):
    """While an interactive session is open there, too."""
    expect(w, [hmp, "info", "name"], 0, "one\n")
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(TIMEOUT)
    s.connect(hmp)
    data = b""
    while not data.endswith(PROMPT):
        data += s.recv(4096)
    s.sendall(b"info st")
    expect(w, [hmp, "info", "name"], 0, "one\n")
    expect(w, [pty, "info", "name"], 0, "one\n")
    expect(w, [os.path.realpath(pty), "info", "name"], 0, "one\n")
    s.sendall(b"atus\n")
    data = b""
    while not data.endswith(PROMPT):
        data += s.recv(4096)
    check(b"VM status: paused" in data, "the open session: %r" % data)
    s.close()


def elsewhere(w, hmp, qmp, pty):
    """Monitors of machines that this user's folder does not know."""
    w.env["XDG_RUNTIME_DIR"] = "/nonexistent"
    for path in hmp, qmp, pty:
        end = time.time() + TIMEOUT
        while w.ctl(path, "info", "name")[0] == 2 and time.time() < end:
            pass  # an earlier client is still being noticed as gone
        expect(w, [path, "info", "name"], 0, "one\n")
        expect(w, [path, "nosuch"], 1, "")
    w.env["XDG_RUNTIME_DIR"] = w.tmp


def many(w):
    """Clients at the same time; none is left over."""
    results = []
    threads = [threading.Thread(
        target=lambda: results.append(w.ctl("one", "info", "name"))) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check(results == [(0, "one\n", "")] * 8, results)


def ends(w, a, b):
    t = threading.Timer(0.3, lambda: w.ctl("one", "quit"))
    t.start()
    expect(w, ["--timeout", str(TIMEOUT), "one", "wait", "shutdown"], 0)
    t.join()
    check(a.wait(TIMEOUT) == 0, "exit status")
    expect(w, ["one", "info", "name"], 2)
    b.kill()
    b.wait()
    folder = pathlib.Path(w.tmp, "vmon")
    check([p.name for p in folder.iterdir()] == [str(b.pid)], "what is left over")
    expect(w, ["--json", "list"], 0, "[]\n")
    check(not list(folder.iterdir()), "stale entry")


def main():
    vmon, guest = sys.argv[1:3]
    if not os.access(vmon, os.X_OK):
        print("skipped: there is no", vmon)
        return 77
    w = World(vmon, guest)
    hmp, qmp, pty = (os.path.join(w.tmp, n) for n in ("hmp", "qmp", "pty"))
    try:
        a = w.start("one", "-S", "-monitor", "unix:%s,server=on,wait=off" % hmp,
                    "-qmp", "unix:%s,server=on,wait=off" % qmp,
                    "-monitor", "pty:%s" % pty,
                    "-debugcon", "file:" + os.path.join(w.tmp, "console"))
        b = w.start("two", "-S")
        check(os.stat(os.path.join(w.tmp, "vmon")).st_mode & 0o777 == 0o700, "mode")
        commands(w, a)
        lists(w, a, b)
        many(w)
        waits(w)
        login(w, None)
        by_path(w, hmp, pty)
        elsewhere(w, hmp, qmp, pty)
        ends(w, a, b)
    except Failure as e:
        print(e)
        return 1
    finally:
        w.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
