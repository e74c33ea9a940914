#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Roles of sessions and the audit file, on a real vmon.

    roles.py VMON GUEST
"""
import json
import os
import pathlib
import re
import subprocess
import sys

from frames import Client, check, peer

ROLES = pathlib.Path(__file__).resolve().parents[2] / "monitor" / "roles.def"


class Qmp(Client):
    def __init__(self, path):
        super().__init__(path)
        self.line()
        self.run("qmp_capabilities")

    def line(self):
        while b"\n" not in self.data:
            self.more()
        head, _, self.data = self.data.partition(b"\n")
        return json.loads(head)

    def run(self, name, **args):
        """The return value, or the error's text."""
        self.send(json.dumps({"execute": name, "arguments": args}).encode() + b"\n")
        while True:
            got = self.line()
            if "event" not in got:
                return got["error"]["desc"] if "error" in got else got["return"]


def hmp(c, line):
    c.send(line.encode() + b"\n")
    return c.frame()


def denied(got):
    return got[0][1:2] == ["err"] and got[0][3:] == ["EPERM"] and b"takes the role" in got[1]


def allows(tmp):
    admin, operate, observe = (Client(os.path.join(tmp, r))
                               for r in ("admin", "operate", "observe"))
    for line in ("info status", "info registers", "p $rip", "help", "who", "cpu 0",
                 "watch", "gva2gpa 0"):
        for c in (admin, operate, observe):
            check(not denied(hmp(c, line)), line)
    for line in ("stop", "cont", "stop", "x/4xb 0", "xp/i 0", "system_reset"):
        check(denied(hmp(observe, line)), "an observer may " + line)
        check(not denied(hmp(operate, line)), "an operator may not " + line)
    for line in ("quit", "device_add virtio-rng-pci", "logfile %s/no" % tmp, "o 0x80 0",
                 "pmemsave 0 16 %s/no" % tmp, "source %s/no" % tmp, "i 0x80", "set log %s/no" % tmp, "poke 0 1",
                 "object_add rng-random,id=r,filename=/dev/zero", "gdbserver"):
        for c in (operate, observe):
            check(denied(hmp(c, line)), "some may " + line)
    check(not os.path.exists(tmp + "/no"), "a file was made")
    # nor by a detour
    hmp(observe, "set syntax on")
    check(denied(hmp(observe, "p 1 && stop")) or denied(observe.frame()), "behind &&")
    hmp(observe, "repeat 1 stop")
    check(denied(observe.frame()), "by repetition")
    check("may observe" in hmp(admin, "who")[1].decode(), "who shows roles")
    check("pid %d uid %d" % (os.getpid(), os.getuid()) in hmp(admin, "who")[1].decode(),
          "who shows peers: %r" % hmp(admin, "who")[1])
    q = Qmp(os.path.join(tmp, "qobserve"))
    check(q.run("query-status")["status"] == "paused", "QMP query")
    for name, args in (("stop", {}), ("quit", {}), ("getfd", {"fdname": "x"}),
                       ("ringbuf-read", {"device": "x", "size": 1})):
        check("takes the role" in q.run(name, **args), "QMP " + name)
    got = q.run("human-monitor-command", **{"command-line": "quit"})
    check("takes the role" in got, "QMP quit: %r" % got)
    check(q.run("human-monitor-command", **{"command-line": "info name"}) == "vm1\r\n", "QMP info")
    return admin, q


def names_exist(admin, q):
    """A name in the table that nobody has would protect nothing."""
    have = {c["name"] for c in q.run("query-commands")}
    for line in hmp(admin, "help")[1].decode().splitlines():
        have |= set(line.split()[0].split("|"))
    names = re.findall(r'^ROLE\(\w+, +"(.*?)"\)', ROLES.read_text(), re.M)
    check(len(names) > 30, "names")
    for name in names:
        check(name in have, "roles.def: there is no " + name)


def audited(path):
    lines = [json.loads(l) for l in open(path)]
    for line in lines:
        check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"]) and
              line["pid"] == os.getpid() and line["uid"] == os.getuid(), "who: %r" % line)
    got = [(l["tongue"], l["command"], l["outcome"]) for l in lines]
    for want in (("hmp", "info status", "ok"), ("hmp", "quit", "Operation not permitted"),
                 ("qmp", "query-status {}", "ok"), ("hmp", 'p "\u00e9\t\x01', "Invalid argument")):
        check(want in got, "%r is not in %r" % (want, got[-5:]))
    check(any(l[1].startswith("quit") and "takes the role" in l[2] for l in got), "QMP quit")
    check(os.stat(path).st_mode & 0o777 == 0o600, "mode")
    check(("hmp", "x" * 1024, "No such file or directory") in got, "a long one is cut")


def refuses(vmon, guest, tmp):
    for args in (["-chardev", "null,id=c", "-mon", "c,role=king"],
                 ["-monitor", "unix:%s/x,clients=2,role=king" % tmp],
                 ["-audit", tmp], ["-audit", "/dev/null"]):
        p = subprocess.run([vmon, "-nodefaults", "-display", "none", "-S", "-kernel", guest] + args,
                           capture_output=True, text=True, timeout=peer.TIMEOUT)
        check(p.returncode == 1 and ("role" in p.stderr or "-audit" in p.stderr), p.stderr)


def play(vmon, guest, tmp):
    audit = os.path.join(tmp, "audit")
    args = ["-audit", audit]
    for role in ("admin", "operate", "observe"):
        args += ["-monitor", "unix:%s,clients=4,mode=script,role=%s" % (
            os.path.join(tmp, role), role)]
    args += ["-qmp", "unix:%s/qobserve,clients=2,role=observe" % tmp]
    with peer.machine(vmon, guest, *args) as proc:
        admin, q = allows(tmp)
        names_exist(admin, q)
        hmp(admin, 'p "\u00e9\t\x01')
        hmp(admin, "x" * 2000)
        audited(audit)
        hmp(admin, "quit")
        check(proc.wait(peer.TIMEOUT) == 0, "exit status")
    refuses(vmon, guest, tmp)


if __name__ == "__main__":
    sys.exit(peer.main(play, "vmon-roles-"))
