#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs monitor transcripts against a real vmon.

    run.py VMON GUEST FILE.t...    plays transcripts
    run.py VMON GUEST --coverage   every command has help and a transcript

A transcript has lines of these kinds:

    # comment
    args: -smp 2                what vmon is started with (once, on top)
    disk: NAME BYTES            an empty file $TMP/NAME for it (once)
    start: paused               do not let the guest run (default: the guest
                                is waited for until it halts)
    (qemu) COMMAND              sent; the lines below are what must come back
    wait: COMMAND ~ REGEX       repeats COMMAND until its answer matches, as a
                                whole; '.' is no end of a line
    ...                         any lines, also none
    text {num} {hex} {any}      a line; {re:...} is a regular expression

$TMP is a scratch directory, $GUEST a copy of the guest image.  A line that shall begin
with "(qemu)" or the like is written with {re:}.
"""
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

WILD = {"num": r"\d+", "hex": r"[0-9a-f]+", "any": r".*"}


def pattern(line):
    """The regular expression for one expected line."""
    out, at = "", 0
    for m in re.finditer(r"\{(num|hex|any|re:(?:[^{}]|\{\d+(?:,\d*)?\})*)\}", line):
        out += re.escape(line[at:m.start()])
        word = m.group(1)
        out += "(?:%s)" % (word[3:] if word.startswith("re:") else WILD[word])
        at = m.end()
    return out + re.escape(line[at:])


def matches(expected, got):
    """Whether the lines fit; "..." stands for any number of them."""
    if not expected:
        return not got
    if expected[0] == "...":
        return any(matches(expected[1:], got[i:]) for i in range(len(got) + 1))
    return bool(got) and re.fullmatch(pattern(expected[0]), got[0], re.S) \
        and matches(expected[1:], got[1:])


class Vmon:
    def __init__(self, vmon, args, tmp):
        self.path = os.path.join(tmp, "monitor")
        self.log = open(os.path.join(tmp, "log"), "w+b")
        self.proc = subprocess.Popen(
            [vmon, "-nodefaults", "-display", "none", "-monitor",
             "unix:%s,server=on,wait=off" % self.path] + ACCEL + args,
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        try:
            self.sock = connect(self.path, self.proc)
            self.banner = self.read_prompt()
        except Failure as e:
            self.proc.kill()
            raise Failure("%s; it said: %s" % (e, self.said())) from e

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def read_prompt(self):
        data = b""
        while not (data == PROMPT or data.endswith(b"\r\n" + PROMPT)):
            try:
                more = self.sock.recv(1 << 16)
            except TimeoutError:
                raise Failure("no prompt after %r" % data[-300:])
            except OSError as e:
                raise Failure("%s; vmon: %s" % (e, self.end()))
            if not more:
                break
            data += more
        return data

    def command(self, line):
        """The lines that `line` prints, and whether the connection ended."""
        try:
            self.sock.sendall(line.encode() + b"\n")
            data = self.read_prompt()
        except OSError as e:
            raise Failure("%s; vmon: %s" % (e, self.end()))
        ended = not data.endswith(PROMPT)
        echo = line.encode() + b"\r\n"
        if not data.startswith(echo):
            raise Failure("echo of %r is %r" % (line, data[:200]))
        text = data[len(echo):] if ended else data[len(echo):-len(PROMPT)]
        if text.replace(b"\r\n", b"").count(b"\n"):
            raise Failure("bare newline in %r" % text)
        lines = text.decode(errors="replace").split("\r\n")
        if lines.pop() != "":
            raise Failure("no newline before the prompt: %r" % text[-100:])
        return lines, ended

    def end(self):
        """How vmon ended that should not have."""
        try:
            return "status %d: %s" % (self.proc.wait(5), self.said())
        except subprocess.TimeoutExpired:
            return "still runs: " + self.said()

    def close(self):
        self.sock.close()
        if self.proc.poll() is None:
            self.proc.terminate()
            try:
                self.proc.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
                raise Failure("vmon does not end on SIGTERM")
        if self.proc.returncode != 0:
            raise Failure("exit status %d: %s" % (self.proc.returncode, self.said()))
        self.log.close()


def parse(path):
    """Header dictionary and steps (kind, line number, text, expected)."""
    head, steps = {"args": "", "start": "run", "disk": ""}, []
    for n, line in enumerate(path.read_text().splitlines(), 1):
        m = re.match(r"(args|start|disk): ?(.*)", line)
        if m and not steps:
            head[m.group(1)] = m.group(2)
        elif line.startswith("(qemu) "):
            steps.append(("send", n, line[len("(qemu) "):], []))
        elif line == "(qemu)":
            steps.append(("send", n, "", []))
        elif line.startswith("wait: "):
            steps.append(("wait", n, line[len("wait: "):], []))
        elif line.startswith("#"):
            continue
        elif steps:
            steps[-1][3].append(line)
        elif line:
            raise Failure("%s:%d: text before the first command" % (path, n))
    return head, steps


def wait_for(vm, text):
    command, regex = text.split(" ~ ", 1)
    end = time.time() + TIMEOUT
    while True:
        lines, _ = vm.command(command)
        if re.search(regex, "\n".join(lines)):
            return
        if time.time() > end:
            raise Failure("%r never showed %r: %r" % (command, regex, lines))
        time.sleep(0.02)


def play_steps(vm, path, steps, tmp, guest):
    for kind, n, text, expected in steps:
        text = text.replace("$TMP", tmp).replace("$GUEST", guest)
        expected = [e.replace("$TMP", tmp).replace("$GUEST", guest) for e in expected]
        try:
            if kind == "wait":
                wait_for(vm, text)
                continue
            lines, ended = vm.command(text)
        except Failure as e:
            raise Failure("%s:%d: (qemu) %s\n  %s" % (path.name, n, text, e))
        if not matches(expected, lines):
            raise Failure("%s:%d: (qemu) %s\n--- expected\n%s\n--- got\n%s" % (
                path.name, n, text, "\n".join(expected), "\n".join(lines)))
        if ended and (n != steps[-1][1]):
            raise Failure("%s:%d: connection ended" % (path.name, n))


def play(vmon, guest, path):
    tmp = tempfile.mkdtemp(prefix="vmon-hmp-")
    try:
        head, steps = parse(path)
        # Its own, as a drive that others lock and `commit` writes to.
        guest = shutil.copy(guest, os.path.join(tmp, "guest"))
        args = head["args"].replace("$TMP", tmp).replace("$GUEST", guest).split()
        paused = head["start"] == "paused"
        if head["disk"]:
            name, size = head["disk"].split()
            with open(os.path.join(tmp, name), "wb") as f:
                f.truncate(int(size))
        vm = Vmon(vmon, ["-m", "16", "-kernel", guest] + (["-S"] if paused else []) +
                  args, tmp)
        try:
            if not paused:
                wait_for(vm, "info cpus ~ CPU #0.*halted")
            play_steps(vm, path, steps, tmp, guest)
        except Failure:
            vm.proc.kill()
            vm.proc.wait()
            raise
        vm.close()
    finally:
        shutil.rmtree(tmp)


def coverage(vmon, guest):
    """Every command is explained by help and occurs in a transcript."""
    played = set()
    for path in HERE.glob("*.t"):
        for line in path.read_text().splitlines():
            if line.startswith("(qemu) "):
                words = re.split(r"[ /]+", line[len("(qemu) "):].strip())
                played.add(words[0])
                if words[0] == "info" and len(words) > 1:
                    played.add("info " + words[1])
    tmp = tempfile.mkdtemp(prefix="vmon-hmp-")
    bad = []
    try:
        vm = Vmon(vmon, ["-S", "-m", "16", "-kernel", guest], tmp)
        rows = vm.command("help")[0] + vm.command("help info")[0]
        vm.close()
    finally:
        shutil.rmtree(tmp)
    for row in rows:
        usage, dash, text = row.partition(" -- ")
        names = usage.split()[0].split("|")
        if usage.startswith("info ") and dash and usage.split()[1:]:
            names = ["info " + n for n in usage.split()[1].split("|")]
            if usage.startswith("info [subcommand]"):
                names = ["info"]
        if not dash or len(text) < 10:
            bad.append("no help: " + row)
        if not any(n in played for n in names):
            bad.append("no transcript: " + "|".join(names))
    if len(rows) < 30:
        bad.append("help lists only %d rows" % len(rows))
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
