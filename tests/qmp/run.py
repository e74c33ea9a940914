#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs QMP transcripts against a real vmon.

    run.py VMON GUEST FILE.q...    plays transcripts
    run.py VMON GUEST --coverage   every command and event has a transcript

A transcript has lines of these kinds:

    # comment
    args: -smp 2      what vmon is started with besides the monitors (on top)
    disk: NAME BYTES  an empty file $TMP/NAME for it (once)
    run: yes          let the guest run until it halts (default: paused)
    raw: yes          the session is not negotiated first
    -> JSON           sent with a newline
    => TEXT           sent as it is, with \\xNN, \\n and the like
    <- JSON           the next message that must come
    <? JSON           as <-, but what comes before it is skipped
    hmp COMMAND       run on a human monitor, which must answer in silence
    end               the connection must end here

In what is expected, the string "*" stands for anything, a member "..." for
any more members, an element "..." at the end for any more elements, and a
string that begins with "~" is a regular expression.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from peer import ACCEL, PROMPT, TIMEOUT, Failure, connect  # noqa: E402

# What takes a device with a driver or a failing disk: tests/unit.
ELSEWHERE = {"BALLOON_CHANGE", "BLOCK_IO_ERROR", "GUEST_CRASHLOADED", "GUEST_PANICKED", "VSERPORT_CHANGE"}


def matches(want, got):
    if want == "*":
        return True
    if isinstance(want, str) and want.startswith("~"):
        return isinstance(got, str) and re.fullmatch(want[1:], got, re.S) is not None
    if isinstance(want, dict):
        if not isinstance(got, dict):
            return False
        keys = set(want) - {"..."}
        if "..." not in want and keys != set(got):
            return False
        return all(k in got and matches(want[k], got[k]) for k in keys)
    if isinstance(want, list):
        if not isinstance(got, list):
            return False
        if want and want[-1] == "...":
            want = want[:-1]
            got = got[:len(want)]
        return len(want) == len(got) and all(map(matches, want, got))
    return type(want) is type(got) and want == got


class Human:
    def __init__(self, path, proc):
        self.s = connect(path, proc)
        self.prompt()

    def prompt(self):
        data = b""
        while not data.endswith(PROMPT):
            try:
                more = self.s.recv(1 << 16)
            except OSError as e:
                raise Failure("human monitor: %s" % e)
            if not more:
                raise Failure("human monitor ended after %r" % data)
            data += more
        return data

    def run(self, line):
        self.s.sendall(line.encode() + b"\n")
        data = self.prompt()
        return data[data.index(b"\r\n") + 2:-len(PROMPT)].decode()


class Qmp:
    """A session: whole messages out of the stream."""

    def __init__(self, path, proc):
        self.s = connect(path, proc)
        self.data = b""
        self.greeting = self.next()

    def next(self):
        while True:
            line, end, rest = self.data.partition(b"\r\n")
            if end:
                try:
                    value = json.loads(line)
                    self.data = rest
                    return value
                except ValueError:
                    raise Failure("not JSON: %r" % line)
            try:
                more = self.s.recv(1 << 16)
            except TimeoutError:
                raise Failure("no message after %r" % self.data)
            except OSError as e:
                raise Failure("%s" % e)
            if not more:
                return None
            self.data += more

    def send(self, data):
        try:
            self.s.sendall(data)
        except OSError as e:
            raise Failure("%s" % e)

    def call(self, name, **arguments):
        self.send(json.dumps({"execute": name, "arguments": arguments}).encode())
        while True:
            v = self.next()
            if v is None or "event" not in v:
                return v


class Vmon:
    def __init__(self, vmon, tmp, args):
        self.log = open(os.path.join(tmp, "log"), "w+b")
        self.hmp, self.qmp = os.path.join(tmp, "hmp"), os.path.join(tmp, "qmp")
        self.proc = subprocess.Popen(
            [vmon, "-nodefaults", "-display", "none", "-m", "16",
             "-monitor", "unix:%s,server=on,wait=off" % self.hmp,
             "-qmp", "unix:%s,server=on,wait=off" % self.qmp] + ACCEL + args,
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def close(self):
        if self.proc.poll() is None:
            self.proc.terminate()
        try:
            self.proc.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.wait()
            raise Failure("vmon does not end on SIGTERM")
        self.log.seek(0)
        if self.proc.returncode != 0:
            raise Failure("exit status %d: %s" % (
                self.proc.returncode, self.log.read().decode(errors="replace")))
        self.log.close()


def parse(path):
    head, steps = {}, []
    for n, line in enumerate(path.read_text().splitlines(), 1):
        m = re.match(r"(args|disk|run|raw): ?(.*)", line)
        if m and not steps:
            head[m.group(1)] = m.group(2)
        elif not line or line.startswith("#"):
            continue
        else:
            steps.append((n, *(line.split(" ", 1) + [""])[:2]))
    return head, steps


def step(qmp, human, kind, text):
    if kind == "->":
        qmp.send(text.encode() + b"\n")
    elif kind == "=>":
        qmp.send(text.encode().decode("unicode_escape").encode("latin-1"))
    elif kind in ("<-", "<?"):
        want = json.loads(text)
        skipped = []
        while True:
            got = qmp.next()
            if got is None:
                raise Failure("the connection ended; skipped %s" % skipped)
            if matches(want, got):
                return
            if kind == "<-":
                raise Failure("got %s" % json.dumps(got))
            skipped.append(got)
    elif kind == "hmp":
        answer = human.run(text)
        if answer:
            raise Failure("answered %r" % answer)
    elif kind == "end":
        got = qmp.next()
        if got is not None:
            raise Failure("got %s" % got)
    else:
        raise Failure("what is %r" % kind)


def play(vmon, guest, path):
    tmp = tempfile.mkdtemp(prefix="vmon-qmp-")
    try:
        head, steps = parse(path)
        fill = lambda s: s.replace("$TMP", tmp).replace("$GUEST", guest)
        if "disk" in head:
            name, size = head["disk"].split()
            with open(os.path.join(tmp, name), "wb") as f:
                f.truncate(int(size))
        paused = head.get("run") != "yes"
        vm = Vmon(vmon, tmp, ["-kernel", guest] + (["-S"] if paused else []) +
                  fill(head.get("args", "")).split())
        try:
            human = Human(vm.hmp, vm.proc)
            end = time.time() + TIMEOUT
            while not paused and "(halted)" not in human.run("info cpus"):
                if time.time() > end:
                    raise Failure("the guest does not halt")
                time.sleep(0.02)
            qmp = Qmp(vm.qmp, vm.proc)
            if head.get("raw") != "yes" and qmp.call("qmp_capabilities") != {"return": {}}:
                raise Failure("negotiation")
            for n, kind, text in steps:
                try:
                    step(qmp, human, kind, fill(text))
                except Failure as e:
                    raise Failure("%s:%d: %s %s\n  %s" % (path.name, n, kind, text, e))
        except Failure:
            vm.proc.kill()
            vm.proc.wait()
            raise
        vm.close()
    finally:
        shutil.rmtree(tmp)


def coverage(vmon, guest):
    played = "\n".join(p.read_text() for p in HERE.glob("*.q"))
    tmp = tempfile.mkdtemp(prefix="vmon-qmp-")
    try:
        vm = Vmon(vmon, tmp, ["-S", "-kernel", guest])
        qmp = Qmp(vm.qmp, vm.proc)
        qmp.call("qmp_capabilities")
        names = [c["name"] for c in qmp.call("query-commands")["return"]]
        events = [c["name"] for c in qmp.call("query-events")["return"]]
        schema = qmp.call("query-qmp-schema")["return"]
        vm.close()
    finally:
        shutil.rmtree(tmp)
    bad = ["no transcript: " + n for n in names + events
           if '"%s"' % n not in played and n not in ELSEWHERE]
    known = {e["name"] for e in schema}
    if len(known) != len(schema):
        bad.append("schema: names twice")
    bad += ["schema: lacks " + n for n in names + events if n not in known]
    for e in schema:
        used = [e.get("arg-type"), e.get("ret-type"), e.get("element-type")]
        used += [m.get("type") for m in e.get("members", [])]
        bad += ["schema: %s: no type %s" % (e["name"], t) for t in used if t and t not in known]
    if len(names) < 30:
        bad.append("only %d commands" % len(names))
    if bad:
        raise Failure("\n".join(bad))


def main():
    vmon, guest, what = sys.argv[1], sys.argv[2], sys.argv[3:]
    if not os.access(vmon, os.X_OK):
        print("skipped: there is no", vmon)
        return 77
    try:
        if what == ["--coverage"]:
            coverage(vmon, guest)
        else:
            for path in what:
                play(vmon, guest, pathlib.Path(path))
    except Failure as e:
        print(e)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
