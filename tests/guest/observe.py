#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a self-checking guest leaves in -d logs and in perf's map.

    observe.py IMAGE     a 64-bit guest of this folder
"""
import os
import re
import subprocess
import sys
import tempfile
import unittest

IMAGE = sys.argv.pop()
VMON = os.environ["VMON"]


class Log(unittest.TestCase):
    def run_guest(self, items, *args, accel="tcg,hot=1"):
        with tempfile.TemporaryDirectory() as tmp:
            path = os.path.join(tmp, "log")
            p = subprocess.Popen(
                [VMON, "-accel", accel, "-m", "128", "-nodefaults", "-display",
                 "none", "-serial", "null", "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
                 "-kernel", IMAGE, "-d", items, "-D", path, *args],
                stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
            self.pid = p.pid
            self.addCleanup(p.kill)
            _, err = p.communicate(timeout=200)
            self.assertEqual(p.returncode, 1, err)
            with open(path, errors="replace") as f:
                return f.read()

    def starts(self, text):
        """Where blocks of in_asm begin.  User pages are kernel pages at other
        addresses, and decoded once."""
        return {int(a, 16) & 0xfffff for a in
                re.findall(r"^IN: cpu 0\n0x([0-9a-f]+): ", text, re.M)}

    def traces(self, text):
        """(is translated, address) of each entry."""
        return [(host != "(nil)", (int(base, 16) + int(pc, 16)))
                for host, base, pc in re.findall(
                    r"^Trace 0: (\S+) \[(\w+)/(\w+)/\w+/\w+\]$", text, re.M)]

    def test_blocks(self):
        text = self.run_guest("in_asm,op,out_asm")
        self.assertRegex(text, r"IN: cpu 0\n0x\w+:  [0-9a-f ]+ \w+ .*\n")
        self.assertRegex(text, r"  invlpg")
        self.assertRegex(text, r"OP: cpu 0\n( 0x\w+  .* \d+ bytes\n)+")
        self.assertRegex(text, r" handler, calls its handler, \d+ bytes\n")
        out = re.findall(r"OUT: \[size=(\d+)\]\n  -- guest addr 0x(\w+) \+ "
                         r"tb prologue\n(0x\w+: .*\n)+", text)
        self.assertGreater(len(out), 100)
        self.assertTrue({int(pc, 16) & 0xfffff for _, pc, _ in out}
                        <= self.starts(text))

    def test_every_block(self):
        text = self.run_guest("in_asm,exec,nochain")
        traces = self.traces(text)
        self.assertTrue({pc & 0xfffff for _, pc in traces} <= self.starts(text))
        self.assertTrue(any(host for host, _ in traces))
        fewer = self.traces(self.run_guest("exec"))
        self.assertTrue(any(host for host, _ in fewer))
        self.assertLess(len(fewer), len(traces))

    def test_rewritten(self):
        """Once it is translated again, nothing is left for it any more."""
        entries = [pc for _, pc in self.traces(self.run_guest("exec"))]
        self.assertLess(entries.count(0x4000000000), 3000)

    def test_registers(self):
        text = self.run_guest("exec,cpu", "-dfilter",
                              "0x101000..0x101fff,0x102000+0x100")
        pairs = re.findall(r"^Trace 0: \S+ \[\w+/(\w+)/\w+/\w+\]\n"
                           r"(?:R.*\n){4}RIP=(\w+) RFL", text, re.M)
        self.assertGreater(len(pairs), 100)
        for trace, rip in pairs:
            self.assertEqual(trace, rip)
            self.assertTrue(0x101000 <= int(rip, 16) < 0x102100)

    def test_events(self):
        text = self.run_guest("int,mmu,cpu_reset")
        self.assertRegex(text, r"(?m)^ +\d+: v=0e e=\w{4} i=0 cpl=\d IP=\w{4}:"
                         r"\w{16} pc=\w{16} SP=\w{4}:\w{16} "
                         r"CR2=\w{16}$")
        faults = re.findall(r"mmu: fault at 0x(\w+), code 0x(\w+)", text)
        told = re.findall(r"v=0e e=(\w+) .* CR2=(\w+)", text)
        self.assertEqual([(int(a, 16), int(b, 16)) for a, b in faults],
                         [(int(a, 16), int(b, 16)) for b, a in told])
        self.assertRegex(text, r"CPU Reset \(CPU 0\)\nRAX=")
        self.assertRegex(text, r"mmu: flush 0x\w+\n")

    def test_nothing(self):
        self.assertEqual(self.run_guest("none"), "")

    def test_perf_map(self):
        text = self.run_guest("out_asm", "-perfmap")
        path = f"/tmp/perf-{self.pid}.map"
        self.addCleanup(os.unlink, path)
        with open(path) as f:
            rows = [line.split() for line in f]
        hot = [row for row in rows if row[2].startswith("tb:")]
        cold = [row for row in rows if row[2].startswith("tb-cold:")]
        self.assertEqual([row[2].split(":")[1] for row in hot],
                         [row[2].split(":")[1] for row in cold])
        blocks = {(int(a, 16) + int(b, 16), int(name[3:], 16))
                  for (_, a, name), (_, b, _) in zip(hot, cold)}
        told = {(int(size), int(pc, 16)) for size, pc in re.findall(
            r"OUT: \[size=(\d+)\]\n  -- guest addr 0x(\w+)", text)}
        self.assertEqual(blocks, told)
        names = [name for _, _, name in rows if name.startswith("jit:")]
        self.assertIn("jit:lookup", names)
        ranges = sorted((int(at, 16), int(size, 16)) for at, size, _ in rows)
        for (a, size), (b, _) in zip(ranges, ranges[1:]):
            self.assertLessEqual(a + size, b)


if __name__ == "__main__":
    unittest.main(verbosity=2)
