#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The monitor under real terminal programs.

    run.py VMON [CASE...]

Each program runs in a tmux pane, which is the terminal: keys go in by name
as a keyboard sends them, and what counts is the screen that comes out.

    socat    socat as the terminal of a vmon pty
    screen   screen on a vmon pty, detached and attached again
    minicom  minicom on a vmon pty
    tty      socat's end of a pair of ptys as `-monitor /dev/pts/N`
    stdio    vmon itself in the pane, monitor on its terminal
    keys     every key of the line editor, in 200 columns and in 20
    paste    a thousand lines at once
    pager    long answers by pages, and a history file
    width    lines over several rows, where the width is known, and C-r
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

TIMEOUT = 60
BANNER = re.compile(r"^QEMU \d.* monitor - type 'help' for more information$", re.M)


class Failure(Exception):
    pass


def until(what, test):
    """Waits for test() to give something true, and returns it."""
    end = time.time() + TIMEOUT
    while True:
        got = test()
        if got:
            return got
        if time.time() > end:
            raise Failure("never: " + what)
        time.sleep(0.02)


def nobody_has(path):
    """Whether all programs have closed it: who is hung up takes a moment."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for fd in os.listdir("/proc/%s/fd" % pid):
                if os.readlink("/proc/%s/fd/%s" % (pid, fd)) == path:
                    return False
        except OSError:
            pass
    return True


class Pane:
    """A terminal with a command in it."""

    def __init__(self, tmp, name, command, columns=80):
        config = os.path.join(tmp, "tmux.conf")
        with open(config, "w") as f:
            f.write("set-option -g history-limit 20000\n")
        self.config = config
        self.socket = os.path.join(tmp, "tmux-" + name)
        env = dict(os.environ, HOME=tmp, SCREENDIR=os.path.join(tmp, "screens"),
                   LC_ALL="C.UTF-8", SHELL="/bin/sh")
        env.pop("TMUX", None)
        self.tmux("new-session", "-d", "-x", str(columns), "-y", "24", command, env=env)
        self.tmux("set-option", "-g", "remain-on-exit", "on")

    def tmux(self, *args, env=None):
        return subprocess.run(["tmux", "-u", "-S", self.socket, "-f", self.config, *args],
                              check=True, env=env, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=TIMEOUT).stdout.decode()

    def text(self):
        return self.tmux("capture-pane", "-p", "-S", "-200")

    def line(self):
        """The line that the cursor is in, and the cursor's column."""
        x, y = map(int, self.tmux("display-message", "-p",
                                  "#{cursor_x} #{cursor_y}").split())
        return self.tmux("capture-pane", "-p", "-S", str(y), "-E", str(y)).rstrip("\n"), x

    def dead(self):
        return self.tmux("display-message", "-p", "#{pane_dead}").strip() == "1"

    def keys(self, *names):
        self.tmux("send-keys", *names)

    def type(self, text):
        self.tmux("send-keys", "-l", text)

    def expect_line(self, line, column=None):
        column = len("(qemu) " + line) if column is None else len("(qemu) ") + column
        shown = ("(qemu) " + line).rstrip()
        try:
            until("", lambda: (lambda l, x: (l.rstrip(), x) == (shown, column))(*self.line()))
        except Failure:
            raise Failure("line %r, cursor in column %d; the screen has %r:\n%s" % (
                shown, column, self.line(), self.text()))

    def expect_text(self, regex, count=1):
        try:
            until("", lambda: len(re.findall(regex, self.text(), re.M)) >= count)
        except Failure:
            raise Failure("%r not on the screen:\n%s" % (regex, self.text()))

    def close(self):
        try:
            self.tmux("kill-server")
        except subprocess.CalledProcessError:
            pass


class Vmon:
    def __init__(self, vmon, tmp, monitor):
        accel = os.environ.get("VMON_ACCEL")
        self.out = open(os.path.join(tmp, "vmon-out"), "w+")
        self.proc = subprocess.Popen(
            [vmon, "-S", "-m", "16", "-nodefaults", "-display", "none",
             "-kernel", GUEST, "-monitor", monitor] +
            (["-accel", accel] if accel else []),
            stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out)

    def pty(self):
        def find():
            self.out.seek(0)
            return re.search(r"^char device redirected to (/dev/pts/\d+) "
                             r"\(label compat_monitor0\)$", self.out.read(), re.M)
        return until("vmon names its pty", find).group(1)

    def close(self):
        self.proc.terminate()
        try:
            self.proc.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            raise Failure("vmon does not end on SIGTERM")
        if self.proc.returncode:
            raise Failure("vmon: exit status %d" % self.proc.returncode)
        self.out.close()


def use(pane, plain=False):
    """A session as a person would have it.  `plain`: the program knows no
    Ctrl-Left and takes every character for one column wide."""
    pane.expect_line("")
    # completion: of a word, of a sub-command, then a list
    pane.type("inf")
    pane.keys("Tab")
    pane.expect_line("info ")
    pane.type("statu")
    pane.keys("Tab")
    pane.expect_line("info status ")
    pane.keys("Enter")
    pane.expect_text(r"^VM status: paused \(prelaunch\)$")
    pane.expect_line("")
    pane.type("info bl")
    pane.keys("Tab")
    pane.expect_text(r"^block +blockstats *$")
    pane.expect_line("info block")
    pane.keys("C-u")
    pane.expect_line("")
    # editing: the line ends up as "p 1+2"
    pane.type("pX 1+3")
    pane.keys("Home")
    pane.expect_line("pX 1+3", 0)
    pane.keys("Right")
    pane.keys("DC")
    pane.expect_line("p 1+3", 1)
    pane.keys("End", "BSpace")
    pane.type("2")
    pane.expect_line("p 1+2")
    pane.keys("Left", "Left")
    pane.type("7")
    pane.expect_line("p 17+2", 4)
    pane.keys("BSpace", "Enter")
    pane.expect_text(r"^3$")
    pane.type("one two three")
    pane.keys("C-w")
    pane.expect_line("one two ")
    if not plain:
        pane.keys("C-Left")
        pane.expect_line("one two", 4)
        pane.keys("C-k")
        pane.expect_line("one ")
    pane.keys("C-u")
    # two bytes and one column, three bytes and two
    pane.type("a\u00e9")
    pane.expect_line("a\u00e9")
    if not plain:
        pane.type("\u4e2d")
        pane.expect_line("a\u00e9\u4e2d", 4)
        pane.keys("BSpace")
        pane.expect_line("a\u00e9")
    pane.keys("BSpace")
    pane.expect_line("a")
    pane.keys("BSpace")
    # history
    pane.keys("Up")
    pane.expect_line("p 1+2")
    pane.keys("Up")
    pane.expect_line("info status ")
    pane.keys("Down", "Down")
    pane.expect_line("")


def again(pane):
    """After coming back: greeted anew, with the history of before."""
    pane.expect_text(BANNER.pattern)
    pane.expect_line("")
    pane.keys("Up")
    pane.expect_line("p 1+2")
    pane.keys("Enter")
    pane.expect_text(r"^3$")


def twice(vmon, tmp, command, plain=False, leave=()):
    """Attach, use, hang up (after keys, if it takes some), attach again."""
    vm = Vmon(vmon, tmp, "pty")
    try:
        path = vm.pty()
        for name, act in (("a", lambda p: use(p, plain)), ("b", again)):
            pane = Pane(tmp, name, command.replace("PTY", path))
            try:
                act(pane)
                for key in leave:
                    pane.keys(key)
                if leave:
                    until("the program ends", pane.dead)
            finally:
                pane.close()
            until("hang-up", lambda: nobody_has(path))
    finally:
        vm.close()


def case_socat(vmon, tmp):
    twice(vmon, tmp, "socat -,raw,echo=0 PTY,raw,echo=0")


def case_minicom(vmon, tmp):
    twice(vmon, tmp, "minicom -8 -o -D PTY", plain=True)


def case_screen(vmon, tmp):
    os.mkdir(os.path.join(tmp, "screens"), 0o700)
    twice(vmon, tmp, "screen -U -c /dev/null -S first PTY", leave=["C-a", "k", "y"])
    # and detached by its own key
    vm = Vmon(vmon, tmp, "pty")
    pane = None
    try:
        pane = Pane(tmp, "c", "screen -U -c /dev/null -S second %s; "
                    "screen -U -c /dev/null -r second" % vm.pty())
        use(pane)
        pane.keys("C-a", "d")
        pane.expect_line("")
        pane.keys("Up")
        pane.expect_line("p 1+2")
        pane.keys("C-a", "k")
        pane.keys("y")
    finally:
        if pane:
            pane.close()
        vm.close()


def case_tty(vmon, tmp):
    ends = [os.path.join(tmp, e) for e in "ab"]
    pair = subprocess.Popen(["socat"] + ["pty,raw,echo=0,link=" + e for e in ends])
    vm = None
    try:
        until("socat makes ptys", lambda: all(map(os.path.exists, ends)))
        vm = Vmon(vmon, tmp, os.path.realpath(ends[0]))
        pane = Pane(tmp, "a", "socat -,raw,echo=0 %s,raw,echo=0" % ends[1])
        try:
            # a serial line has no way to tell that somebody came
            pane.keys("Enter")
            until("a prompt", lambda: pane.line()[0] == "(qemu)")
            use(pane)
        finally:
            pane.close()
    finally:
        if vm:
            vm.close()
        pair.terminate()
        pair.wait()


def case_stdio(vmon, tmp):
    accel = os.environ.get("VMON_ACCEL")
    pane = Pane(tmp, "a", "stty -a > %s/before; %s -S -m 16 -nodefaults -display none "
                "-kernel %s -monitor stdio%s; echo left $?; stty -a > %s/after; sleep 100" % (
                    tmp, vmon, GUEST, " -accel " + accel if accel else "", tmp))
    try:
        pane.expect_text(BANNER.pattern)
        use(pane)
        pane.type("quit")
        pane.keys("Enter")
        pane.expect_text(r"^left 0$")
        stty = [until("stty", lambda: open(os.path.join(tmp, f)).read())
                for f in ("before", "after")]
        if stty[0] != stty[1]:
            raise Failure("terminal left as\n%s\nwas\n%s" % (stty[1], stty[0]))
    finally:
        pane.close()


def every_key(pane):
    """Keys in, the line and its cursor out; the longest line has 12 columns
    behind the prompt."""
    pane.expect_line("")
    for name in ("one", "two"):
        pane.type(name)
        pane.keys("Enter")
        pane.expect_line("")
    typed = "ab cd ef"
    #   keys,           line,       cursor
    for keys, line, at in (
            (["Left"], "ab cd ef", 7), (["C-b"], "ab cd ef", 6), (["Right"], "ab cd ef", 7),
            (["C-f"], "ab cd ef", 8), (["C-f"], "ab cd ef", 8),
            (["C-a"], "ab cd ef", 0), (["C-b"], "ab cd ef", 0), (["C-e"], "ab cd ef", 8),
            (["Home"], "ab cd ef", 0), (["End"], "ab cd ef", 8),
            (["C-Left"], "ab cd ef", 6), (["C-Left"], "ab cd ef", 3), (["C-Right"], "ab cd ef", 5),
            (["M-b"], "ab cd ef", 3), (["M-f"], "ab cd ef", 5),
            (["C-d"], "ab cdef", 5), (["DC"], "ab cdf", 5), (["BSpace"], "ab cf", 4),
            (["C-h"], "ab f", 3), (["C-w"], "f", 0), (["C-k"], "", 0),
            (["C-d"], "", 0), (["BSpace"], "", 0),
            (["C-p"], "two", 3), (["C-p"], "one", 3), (["C-p"], "one", 3), (["C-n"], "two", 3),
            (["C-n"], "", 0), (["Up"], "two", 3), (["Up"], "one", 3), (["Down"], "two", 3),
            (["C-a", "C-f", "C-u"], "wo", 0), (["M-d"], "", 0),
            (["F1"], "", 0), (["F5"], "", 0), (["PPage"], "", 0), (["C-y"], "wo", 2),
            (["x", "y", "C-c"], "", 0), (["q", "u", "i", "C-l"], "qui", 3),
            (["Tab"], "quit", 5), (["C-u"], "", 0)):
        if typed:
            pane.type(typed)
            pane.expect_line(typed)
            typed = None
        pane.keys(*keys)
        pane.expect_line(line, at)


def wide_and_narrow(pane, columns):
    if columns > 80:
        # a line of more than 80 columns, edited in front
        pane.type("p " + "+".join(["1"] * 80))
        pane.keys("C-a", "Right", "Right")
        pane.type("20+")
        pane.expect_line("p 20+" + "+".join(["1"] * 80), 5)
        pane.keys("Enter")
        pane.expect_text(r"^100$")
    else:
        # one that goes over the right edge, edited at its end
        pane.type("p 1000000000+200000000")
        pane.keys("BSpace")
        pane.type("7")
        pane.keys("Enter")
        pane.expect_text(r"^1200000007$")


def case_keys(vmon, tmp):
    for columns in (200, 20):
        vm = Vmon(vmon, tmp, "pty")
        try:
            pane = Pane(tmp, "k%d" % columns,
                        "socat -,raw,echo=0 %s,raw,echo=0" % vm.pty(), columns)
            try:
                every_key(pane)
                wide_and_narrow(pane, columns)
            finally:
                pane.close()
        finally:
            vm.close()


def rows(pane, columns, line, at):
    """The last rows of the screen are the line, with the cursor in it."""
    line = "(qemu) " + line
    want = [line[i:i + columns] for i in range(0, len(line) + 1, columns)]
    at += len("(qemu) ")

    def shown():
        x, y = map(int, pane.tmux("display-message", "-p", "#{cursor_x} #{cursor_y}").split())
        text = pane.tmux("capture-pane", "-p").rstrip("\n").split("\n")
        top = y - at // columns
        return x == at % columns and top >= 0 and \
            [l.rstrip() for l in text[top:]] == [w.rstrip() for w in want if w]
    try:
        until("", shown)
    except Failure:
        raise Failure("not %r, %d, but %r:\n%s" % (line, at, pane.line(), pane.text()))


def case_width(vmon, tmp):
    columns = 20
    accel = os.environ.get("VMON_ACCEL")
    pane = Pane(tmp, "w", "%s -S -m 16 -nodefaults -display none -kernel %s -monitor stdio%s" % (
        vmon, GUEST, " -accel " + accel if accel else ""), columns)
    try:
        pane.expect_line("")
        line = "p 1+20+300+4000+50000+600000"
        for n in (12, 13, 14, len(line)):  # before, at and behind the edge
            pane.type(line[:n])
            rows(pane, columns, line[:n], n)
            pane.keys("C-a")
            rows(pane, columns, line[:n], 0)
            pane.type("xx")
            rows(pane, columns, "xx" + line[:n], 2)
            pane.keys("BSpace", "BSpace")
            rows(pane, columns, line[:n], 0)
            pane.keys("C-e", "C-Left", "C-e")
            rows(pane, columns, line[:n], n)
            pane.keys("Left", "Left")
            rows(pane, columns, line[:n], n - 2)
            pane.keys("C-e", "C-u")
            rows(pane, columns, "", 0)
        pane.keys("C-y", "C-a")
        rows(pane, columns, line, 0)
        pane.keys("Enter")
        pane.expect_text(r"^654321$")
        pane.type("info nam")
        pane.keys("Enter", "C-r")
        pane.expect_text(r"^\(reverse-i-search\)`'$")
        pane.type("+300")
        pane.expect_text(r"^\(reverse-i-search\)`\+$")
        pane.keys("Right", "BSpace")
        rows(pane, columns, line.replace("+3", "3"), line.index("+3"))
        pane.keys("C-e", "C-u", "C-r")
        pane.type("nosuch")
        pane.expect_text(r"^\(failed reverse-i-se$")
        pane.keys("C-g")
        rows(pane, columns, "", 0)
        pane.type("info p")
        pane.keys("Tab")  # two in a row
        pane.expect_text(r"^pci +pic *$")
        rows(pane, columns, "info p", 6)
        pane.keys("C-u")
        pane.type("set width 60")
        pane.keys("Enter")
        pane.expect_line("")
    finally:
        pane.close()


def case_pager(vmon, tmp):
    accel = os.environ.get("VMON_ACCEL")
    history = os.path.join(tmp, "history")
    with open(history, "w") as f:
        f.write("p 41\n\033[2Jbad\n" + "p 42\n" * 60000)
    command = ("%s -S -m 16 -nodefaults -display none -kernel %s -chardev stdio,id=c "
               "-mon c,history=%s%s" % (vmon, GUEST, history, " -accel " + accel if accel else ""))
    for name in "ab":
        pane = Pane(tmp, name, command)
        try:
            pane.expect_line("")
            pane.keys("Up")
            pane.expect_line("quit" if name == "b" else "p 42")
            pane.keys("C-u")
            pane.type("set pager on")
            pane.keys("Enter")
            pane.expect_line("")
            pane.type("help")
            pane.keys("Enter")
            more = lambda: pane.line() == ("--More--", 8)
            until("a page", more)
            shown = pane.tmux("capture-pane", "-p").split("\n")
            if not any(l.startswith("(qemu) help") for l in shown[:2]):
                raise Failure("the first page begins with %r" % shown)
            pane.keys("Enter", "x")
            until("a line", lambda: more() and
                  pane.tmux("capture-pane", "-p").split("\n")[0] != shown[0])
            pane.keys("q")
            pane.expect_line("")
            pane.type("help")
            pane.keys("Enter", "G")
            pane.expect_text(r"^xp /fmt")
            pane.expect_line("")
            pane.type("p 77")
            pane.keys("Enter")
            pane.expect_text(r"^77$")
            pane.type("quit")
            pane.keys("Enter")
            until("it ends", pane.dead)
        finally:
            pane.close()
    lines = open(history).read().split("\n")
    if len(lines) > 100 or lines[-3:] != ["p 77", "quit", ""] or any("bad" in l for l in lines):
        raise Failure("history: %r" % lines[-20:])


def case_paste(vmon, tmp):
    """Every line is run, in order, and shown."""
    lines = 1000
    path = os.path.join(tmp, "pasted")
    with open(path, "w") as f:
        f.writelines("p %d\n" % (100000 + n) for n in range(lines))
    vm = Vmon(vmon, tmp, "pty")
    try:
        pane = Pane(tmp, "p", "socat -,raw,echo=0 %s,raw,echo=0" % vm.pty())
        try:
            pane.expect_line("")
            pane.tmux("load-buffer", path)
            pane.tmux("paste-buffer")
            pane.expect_text(r"^%d$" % (100000 + lines - 1))
            pane.expect_line("")
            got = re.findall(r"^(\d{6})$", pane.tmux("capture-pane", "-p", "-S", "-"), re.M)
            if got != [str(100000 + n) for n in range(lines)]:
                raise Failure("%d answers of %d: %s ..." % (len(got), lines, got[:5]))
        finally:
            pane.close()
    finally:
        vm.close()


CASES = {n[5:]: f for n, f in list(globals().items()) if n.startswith("case_")}
NEEDS = {"socat": ["socat"], "minicom": ["minicom"], "screen": ["screen"],
         "tty": ["socat"], "stdio": [], "keys": [], "paste": ["socat"], "pager": [],
         "width": []}


def main():
    global GUEST
    vmon, GUEST, names = sys.argv[1], sys.argv[2], sys.argv[3:] or sorted(CASES)
    if not os.access(vmon, os.X_OK):
        print("skipped: there is no", vmon)
        return 77
    for name in names:
        for program in ["tmux"] + NEEDS[name]:
            if not shutil.which(program):
                print("skipped: there is no", program)
                return 77
        tmp = tempfile.mkdtemp(prefix="vmon-term-")
        try:
            CASES[name](vmon, tmp)
            print("ok", name)
        except Failure as e:
            print("%s: %s" % (name, e))
            return 1
        finally:
            shutil.rmtree(tmp, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
