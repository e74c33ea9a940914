#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""mode=script: answers in frames, on a real vmon.

    frames.py VMON GUEST
"""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import peer  # noqa: E402
from peer import check  # noqa: E402


class Client:
    def __init__(self, path):
        self.s = peer.connect(path)
        self.data = b""

    def send(self, text):
        self.s.sendall(text)

    def more(self):
        got = self.s.recv(1 << 16)
        check(got, "the end, after %r" % self.data[:200])
        self.data += got

    def frame(self):
        """Head, and text."""
        while b"\n" not in self.data:
            self.more()
        head, _, rest = self.data.partition(b"\n")
        self.data = rest
        words = head.decode().split()
        check(head[:1] in (b"=", b"+", b"!"), "no head: %r" % head[:300])
        if head[:1] == b"!":
            return words, b""
        n = int(words[2])
        while len(self.data) < n:
            self.more()
        text, self.data = self.data[:n], self.data[n:]
        return words, text

    def expect(self, line, *frames):
        self.send(line)
        for head, text in frames:
            got = self.frame()
            check(got == (head.split(), text), "%r: %r, not %r" % (line, got, (head, text)))


def frames(path):
    c = Client(path)
    c.expect(b"info name\n", ("=1 ok 4", b"vm1\n"))
    c.expect(b"p 1\r\n", ("=2 ok 2", b"1\n"))
    c.expect(b"\n", ("=3 ok 0", b""))
    c.expect(b"p 1+1\np 3", ("=4 ok 2", b"2\n"))
    c.expect(b"+4\n", ("=5 ok 2", b"7\n"))
    text = b"unknown command: 'nosuch'\n"
    c.expect(b"nosuch\n", ("=6 err %d ENOENT" % len(text), text))
    text = b"Error: Device 'x' not found\n"
    c.expect(b"set_link x on\n", ("=7 err %d ENODEV" % len(text), text))
    c.expect(b"pmemsave 0 4096 %s.ram\n" % path.encode(), ("=8 ok 0", b""))
    # keys are nothing special, and what is too long is said to be
    c.send(b"p 1\x7f\n")
    check(c.frame()[0][:2] == ["=9", "err"], "a key")
    text = b"a line has less than 4095 bytes\n"
    c.expect(b"x" * 10000 + b"\np 5\n", ("=10 err %d E2BIG" % len(text), text),
             ("=11 ok 2", b"5\n"))
    # several commands in a line
    c.expect(b"set syntax on\n", ("=12 ok 0", b""))
    c.expect(b"p 1; p 2\n", ("+13 ok 2", b"1\n"), ("=13 ok 2", b"2\n"))
    c.expect(b"# nothing\n", ("=14 ok 0", b""))
    c.expect(b"help | count\n", ("=15 ok 3", count_help(path)))
    c.expect(b"repeat 2 1ms p 9\n", ("+16 ok 0", b""), ("+16 ok 2", b"9\n"), ("=16 ok 2", b"9\n"))
    # events stand between frames
    c.expect(b"set events on\n", ("=17 ok 0", b""))
    c.send(b"cont\n")
    got = [c.frame(), c.frame()]
    check(sorted(got)[0] == (["!RESUME"], b"") and sorted(got)[1] == (["=18", "ok", "0"], b""),
          "events: %r" % got)
    # a long answer is whole
    c.send(b"xp/200000xb 0\ninfo name\n")
    head, text = c.frame()
    check(head[:2] == ["=19", "ok"] and text.count(b"\n") == 25000 and b"\r" not in text, "long")
    check(c.frame() == (["=20", "ok", "4"], b"vm1\n"), "after a long one")
    return c


def count_help(path):
    c = Client(path)
    c.send(b"help\n")
    n = c.frame()[1].count(b"\n")
    c.s.close()
    return b"%d\n" % n


def play(vmon, guest, tmp):
    path = os.path.join(tmp, "script")
    with peer.machine(vmon, guest, "-monitor",
                      "unix:%s,clients=4,mode=script" % path) as proc:
        frames(path).s.close()
        c = Client(path)
        c.expect(b"p 1\n", ("=1 ok 2", b"1\n"))  # counted anew
        c.expect(b"quit\n", ("=2 ok 0", b""))
        check(c.s.recv(1) == b"", "quit ends the connection")
        check(proc.wait(peer.TIMEOUT) == 0, "exit status")


if __name__ == "__main__":
    sys.exit(peer.main(play, "vmon-frames-"))
