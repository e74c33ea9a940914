#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Passes file descriptors through the monitors' sockets.

    fds.py VMON GUEST
"""
import array
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from peer import PROMPT, TIMEOUT, connect  # noqa: E402


def send(sock, data, fds=()):
    anc = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    assert sock.sendmsg([data], anc) == len(data)


class Human:
    def __init__(self, path, proc):
        self.sock = connect(path, proc)
        self.read()

    def read(self):
        data = b""
        while not data.endswith(PROMPT):
            more = self.sock.recv(65536)
            assert more, data
            data += more
        return data

    def __call__(self, line, fds=()):
        send(self.sock, line.encode() + b"\n", fds)
        text = self.read().decode().replace("\r", "")
        return text.split("\n", 1)[1][:-len(PROMPT)]


class Qmp:
    def __init__(self, path, proc):
        self.sock = connect(path, proc)
        self.lines = self.sock.makefile("rb")
        self.lines.readline()
        self("qmp_capabilities")

    def __call__(self, name, fds=(), **arguments):
        send(self.sock, json.dumps({"execute": name, "arguments": {
            k.replace("_", "-"): v for k, v in arguments.items()}}).encode(), fds)
        while True:
            v = json.loads(self.lines.readline())
            if "event" not in v:
                return v


def fd_count(proc):
    return len(os.listdir(f"/proc/{proc.pid}/fd"))


def check(tmp, proc):
    human, qmp = Human(f"{tmp}/hmp", proc), Qmp(f"{tmp}/qmp", proc)
    start = fd_count(proc)
    disk = os.open(f"{tmp}/disk", os.O_RDWR)

    # A socket by name becomes a character device.
    ours, theirs = socket.socketpair()
    assert human("getfd s", [theirs.fileno()]) == ""
    theirs.close()
    assert fd_count(proc) == start + 1
    assert human("chardev-add socket,id=c,fd=s") == ""
    assert "c: filename=" in human("info chardev")
    assert human("closefd s") == "Error: File descriptor named 's' not found\n"
    assert human("chardev-remove c") == ""
    assert ours.recv(1) == b""  # it was closed
    assert fd_count(proc) == start

    # Names, and that nothing is lost or leaked.
    assert human("getfd 1a", [disk]) == ("Error: Parameter 'fdname' expects a name "
                                         "not starting with a digit\n")
    assert human("getfd a", [disk]) == ""
    assert human("getfd a", [disk, disk, disk]) == ""
    assert human("getfd b") == ""  # the second of the three
    assert human("info status", [disk] * 16).startswith("VM status")
    assert human("info status", [disk] * 3).startswith("VM status")
    assert human("closefd a") == "" and human("closefd b") == ""
    for _ in range(3):
        assert human(f"getfd x", []) == ""
    assert "No file descriptor" in human("getfd x")
    assert human("closefd x") == ""
    assert fd_count(proc) == start, os.listdir(f"/proc/{proc.pid}/fd")

    # Sets, opened as files.
    r = qmp("add-fd", [disk], opaque="the disk")["return"]
    assert r["fdset-id"] == 0, r
    ro = os.open(f"{tmp}/disk", os.O_RDONLY)
    r2 = qmp("add-fd", [ro], fdset_id=7)["return"]
    assert r2["fdset-id"] == 7, r2
    assert qmp("query-fdsets")["return"] == [
        {"fdset-id": 0, "fds": [{"fd": r["fd"], "opaque": "the disk"}]},
        {"fdset-id": 7, "fds": [{"fd": r2["fd"]}]}]
    assert human("drive_add 0 if=none,id=d,format=raw,file=/dev/fdset/0") == "OK\n"
    assert human("drive_del d") == ""  # which gives its lock up
    assert "Permission denied" in human("drive_add 0 if=none,id=e,format=raw,file=/dev/fdset/7")
    assert human("drive_add 0 if=none,id=e,format=raw,readonly=on,file=/dev/fdset/7") == "OK\n"
    assert "No such file" in human("drive_add 0 if=none,id=f,format=raw,file=/dev/fdset/8")
    assert human("drive_del e") == ""
    assert qmp("remove-fd", fdset_id=7, fd=r2["fd"]) == {"return": {}}
    assert qmp("remove-fd", fdset_id=0) == {"return": {}}
    assert qmp("query-fdsets")["return"] == []
    assert qmp("getfd", [disk], fdname="q") == {"return": {}}
    assert qmp("closefd", fdname="q") == {"return": {}}
    assert "-2" not in str(qmp("add-fd", [disk], fdset_id=-2)["error"])
    assert fd_count(proc) == start

    # A peer that leaves takes with it what nobody asked for.
    send(human.sock, b"info status\n", [disk] * 4)
    human.read()
    human.sock.close()
    human = Human(f"{tmp}/hmp", proc)
    assert fd_count(proc) == start
    assert human("info status").startswith("VM status")


def main():
    vmon, guest = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="vmon-fds-") as tmp:
        with open(f"{tmp}/disk", "wb") as f:
            f.truncate(1 << 20)
        passed = os.open(guest, os.O_RDONLY)
        proc = subprocess.Popen(
            [vmon, "-accel", "tcg", "-S", "-m", "16", "-kernel", guest, "-nodefaults",
             "-display", "none", "-add-fd", f"fd={passed},set=3,opaque=x",
             "-drive", "if=none,id=p,format=raw,readonly=on,file=/dev/fdset/3",
             "-monitor", f"unix:{tmp}/hmp,server=on,wait=off",
             "-qmp", f"unix:{tmp}/qmp,server=on,wait=off"], pass_fds=[passed])
        try:
            first = Qmp(f"{tmp}/qmp", proc)
            sets = first("query-fdsets")["return"]
            assert [s["fdset-id"] for s in sets] == [3], sets
            assert first("remove-fd", fdset_id=3) == {"return": {}}
            first.lines.close()
            first.sock.close()
            check(tmp, proc)
        finally:
            proc.terminate()
            proc.wait(TIMEOUT)
        assert proc.returncode == 0, proc.returncode


if __name__ == "__main__":
    main()
