#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The gdb stub: run.py ENGINE IMAGE SYMBOLS; ENGINE follows -accel.

A real gdb and bare packets, against a guest that never ends
(tests/gdb/gdb64.c).  77 (skipped) without gdb.
"""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from peer import TIMEOUT, connect  # noqa: E402

VMON = os.environ.get("VMON", "vmon")
ENGINE, IMAGE, SYMBOLS = sys.argv[1:4]
USER = 0x80000000  # where ring 3 sees everything


class Bare:
    """A client that speaks packets."""

    def __init__(self, path):
        self.sock = connect(path)
        self.data = b""

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise EOFError("vmon has closed the connection")
        self.data += data

    def send(self, text):
        data = text if isinstance(text, bytes) else text.encode()
        self.sock.sendall(b"$" + data + b"#%02x" % (sum(data) & 0xff))

    def answer(self):
        """The next packet's text."""
        while True:
            m = re.search(rb"\$([^#]*)#(..)", self.data, re.S)
            if m:
                break
            self.more()
        self.data = self.data[m.end():]
        assert sum(m.group(1)) & 0xff == int(m.group(2), 16)
        try:
            self.sock.sendall(b"+")
        except BrokenPipeError:
            pass  # it was the last one
        return m.group(1).decode()

    def ask(self, text):
        self.send(text)
        return self.answer()

    def close(self):
        self.sock.close()


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="vmon-gdb-")
        self.addCleanup(shutil.rmtree, self.dir)
        self.clients = []
        self.stub = os.path.join(self.dir, "gdb")
        self.monitor = os.path.join(self.dir, "monitor")
        self.vmon = None

    def start(self, *more):
        self.vmon = subprocess.Popen(
            [VMON, "-accel", ENGINE, "-smp", "2", "-m", "64", "-nodefaults",
             "-display", "none", "-kernel", IMAGE, "-gdb",
             f"unix:{self.stub},server=on,wait=off", "-monitor",
             f"unix:{self.monitor},server=on,wait=off", *more],
            stdin=subprocess.DEVNULL)
        self.addCleanup(self.stop)
        end = time.time() + TIMEOUT
        while not os.path.exists(self.monitor):
            self.assertIsNone(self.vmon.poll())
            self.assertLess(time.time(), end, "vmon does not start")
            time.sleep(0.01)
        if "-S" not in more:
            self.wait_rounds(0)

    def client(self):
        self.clients.append(Bare(self.stub))
        return self.clients[-1]

    def stop(self):
        for c in self.clients:
            c.close()
        if self.vmon.poll() is None:
            self.vmon.terminate()
        try:
            self.assertEqual(self.vmon.wait(TIMEOUT), 0)
        except subprocess.TimeoutExpired:
            self.vmon.kill()
            raise

    def hmp(self, line):
        s = connect(self.monitor)
        data = b""
        while not data.endswith(b"(qemu) "):
            data += s.recv(65536)
        s.sendall(line.encode() + b"\n")
        data = b""
        while not data.endswith(b"\n(qemu) "):
            more = s.recv(65536)
            if not more:
                break
            data += more
        s.close()
        # The next one may come only when this one is seen to be gone.
        return data.decode().replace("\r", "").split("\n", 1)[1].replace(
            "(qemu) ", "")

    def wait_hmp(self, line, regex):
        end = time.time() + TIMEOUT
        while not re.search(regex, self.hmp(line)):
            self.assertLess(time.time(), end, f"no {regex!r} in {line!r}")
            time.sleep(0.02)

    def rounds(self):
        return int(self.hmp(f"x/1gx {symbol('rounds'):#x}").split(":")[1], 0)

    def wait_rounds(self, more):
        """The guest goes on."""
        first = self.rounds()
        end = time.time() + TIMEOUT
        while self.rounds() <= first + more:
            self.assertLess(time.time(), end, "the guest stands still")
            time.sleep(0.02)

    def gdb_command(self, script):
        path = os.path.join(self.dir, "script")
        with open(path, "w") as f:
            f.write("set pagination off\nset confirm off\n"
                    "set width 0\nset tcp auto-retry off\n"
                    f"target remote {self.stub}\n" + script)
        return ["gdb", "-nx", "-batch", "-x", path, SYMBOLS]

    def gdb(self, script):
        r = subprocess.run(self.gdb_command(script), timeout=TIMEOUT,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT)
        return r.stdout.decode(errors="replace")

    def values(self, text, name):
        """Of lines "name=VALUE"."""
        return [int(v, 0) for v in re.findall(rf"^{name}=(\S+)$", text, re.M)]


def symbols():
    text = subprocess.run(["nm", SYMBOLS], check=True,
                          stdout=subprocess.PIPE).stdout.decode()
    return {l.split()[2]: int(l.split()[0], 16) for l in text.splitlines()
            if len(l.split()) == 3}


def symbol(name):
    return SYMBOL[name]


class Gdb(Case):
    def test_breakpoints(self):
        self.start()
        text = self.gdb("""
break hit_me
continue
printf "first=%lu\\n", rounds
ignore 1 49
continue
printf "later=%lu\\n", rounds
tbreak work
continue
delete
hbreak store_it
continue
printf "n=%lu\\n", $rdi
printf "rounds=%lu\\n", rounds
bt
finish
detach
""")
        self.assertEqual(self.values(text, "later"),
                         [self.values(text, "first")[0] + 50], text)
        self.assertEqual(self.values(text, "n"), self.values(text, "rounds"))
        self.assertRegex(text, r"Temporary breakpoint 2, work")
        self.assertRegex(text, r"#1 .* in test \(\)")
        self.assertRegex(text, r"(?m)^test \(\) at")
        self.wait_rounds(10)

    def test_watchpoints(self):
        self.start()
        text = self.gdb("""
watch apart[512]
continue
continue
delete
rwatch apart[516]
continue
delete
awatch apart[512]
continue
info registers rip
delete
watch pattern[1] if pattern[1] == 5
set var pattern[1] = 5
detach
""")
        olds = re.findall(r"Old value = (\d+)\nNew value = (\d+)", text)
        self.assertEqual(len(olds), 3, text)
        for old, new in olds:
            self.assertEqual(int(new), int(old) + 1)
        self.assertEqual(olds[0][1], olds[1][0])
        self.assertRegex(text, r"read watchpoint 2.*\n\nValue = 0\n")
        # gdb may have found the guest in there when it came.
        text = text.split("Hardware watchpoint 1:", 1)[1]
        self.assertEqual(len(re.findall(r" in store_it|store_it \(", text)), 3,
                         text)
        self.wait_rounds(10)

    def test_steps(self):
        self.start()
        text = self.gdb(f"""
tbreak *({USER:#x} + (long)&ring3_call)
continue
printf "cs=%d\\n", $cs
stepi
printf "at=%#lx\\n", $rip
printf "cs=%d\\n", $cs
set $before = syscalls
stepi
printf "more=%d\\n", syscalls - $before
stepi
printf "at=%#lx\\n", $rip
printf "cs=%d\\n", $cs
stepi
tbreak work
continue
step
step
next
info frame
detach
""")
        self.assertEqual(self.values(text, "at"), [
            symbol("call_entry"), USER + symbol("ring3_next")], text)
        self.assertEqual(self.values(text, "cs"), [0x33, 0x10, 0x33], text)
        self.assertEqual(self.values(text, "more"), [1])
        self.assertRegex(text, r"rip = 0x[0-9a-f]+ in work")
        self.wait_rounds(10)

    def test_registers(self):
        self.start()
        text = self.gdb("""
break hit_me
continue
set $save = $r12
set $r12 = 0x123456789abcdef0
set $xmm3.v2_int64[1] = 0x1122334455667788
set $ymm5.v4_int64[3] = 0x99aabbccddeeff00
set $mxcsr = 0x1fa0
set $st2 = -1.5
set $fctrl = 0x27f
set $eflags = $eflags ^ 0x400
set var pattern[2] = 0xabcdef
set var pattern[3] = -1
maint flush register-cache
printf "r12=%#lx\\n", $r12
printf "xmm3=%#lx\\n", $xmm3.v2_int64[1]
printf "ymm3=%#lx\\n", $ymm3.v4_int64[1]
printf "ymm5=%#lx\\n", $ymm5.v4_int64[3]
printf "mxcsr=%#x\\n", (int)$mxcsr
printf "st2=%d\\n", (int)($st2 * 2)
printf "fctrl=%#x\\n", $fctrl
printf "pattern=%#lx\\n", pattern[2]
printf "pattern=%#lx\\n", pattern[3]
printf "gs=%#lx\\n", $k_gs_base
printf "pg=%#x\\n", ((long)$cr0 >> 31) & 1
info registers eflags efer
monitor info registers
monitor x/2gx $rsp
monitor nonsense
set $back = *(long *)$rsp
tbreak *$back
set $rip = (long)work
set $rdi = 0
continue
printf "sum=%d\\n", $rax
printf "r12=%#lx\\n", $r12
set $r12 = $save
set $eflags = $eflags ^ 0x400
info registers
info all-registers
detach
""")
        self.assertEqual(self.values(text, "r12"), [0x123456789abcdef0] * 2,
                         text)
        self.assertEqual(self.values(text, "xmm3"), [0x1122334455667788])
        self.assertEqual(self.values(text, "ymm3"), [0x1122334455667788])
        self.assertEqual(self.values(text, "ymm5"), [0x99aabbccddeeff00])
        self.assertEqual(self.values(text, "mxcsr"), [0x1fa0])
        self.assertEqual(self.values(text, "st2"), [-3])
        self.assertEqual(self.values(text, "fctrl"), [0x27f])
        self.assertEqual(self.values(text, "pattern"), [0xabcdef, 2**64 - 1])
        self.assertEqual(self.values(text, "gs"), [symbol("gs_area")])
        self.assertEqual(self.values(text, "pg"), [1])
        self.assertEqual(self.values(text, "sum"), [0], text)
        self.assertRegex(text, r"efer .*\[.*SCE LME LMA NXE.*\]")
        self.assertRegex(text, r"eflags .* DF ")
        self.assertRegex(text, r"R12=123456789abcdef0")
        self.assertRegex(text, r"XMM03=1122334455667788 0000000000000000")
        self.assertRegex(text, r"unknown command: 'nonsense'")
        self.assertNotRegex(text, r"[Ww]arning|[Ee]rror|<unavailable>")
        self.wait_rounds(10)

    def test_threads(self):
        self.start()
        self.wait_hmp(f"x/1gx {symbol('ap_rounds'):#x}", r"0x0*[1-9a-f]")
        text = self.gdb("""
info threads
thread apply all printf "sp=%#lx\\n", $rsp
break ap_round
continue
thread
thread apply 1 printf "one=%d\\n", $_thread
set scheduler-locking on
thread 1
set $mine = rounds
set $other = ap_rounds
stepi
stepi
printf "moved=%d\\n", ap_rounds - $other
set scheduler-locking off
delete
break hit_me thread 1
continue
thread
detach
""")
        self.assertRegex(text, r"1 +Thread 1 \(CPU#0 \[")
        self.assertRegex(text, r"2 +Thread 2 \(CPU#1 \[")
        self.assertEqual(len(set(self.values(text, "sp"))), 2, text)
        self.assertEqual(self.values(text, "moved"), [0], text)
        self.assertEqual(re.findall(r"Current thread is (\d)", text),
                         ["2", "1"], text)
        self.wait_rounds(10)

    def test_interrupt_and_again(self):
        self.start()
        proc = subprocess.Popen(
            self.gdb_command("continue\nprintf \"stopped=%d\\n\", 1\n"
                             "stepi\nmonitor info status\ndetach\n"),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        self.wait_hmp("info chardev", r"gdb: filename=unix")
        self.wait_hmp("info status", "running")
        self.wait_rounds(20)
        proc.send_signal(signal.SIGINT)
        text = proc.communicate(timeout=TIMEOUT)[0].decode()
        self.assertRegex(text, "received signal SIGINT")
        self.assertEqual(self.values(text, "stopped"), [1], text)
        self.assertRegex(text, r"paused \(debug\)")
        self.wait_rounds(10)
        text = self.gdb("break hit_me\ncontinue\nkill\n")
        self.assertRegex(text, "hit Breakpoint 1, hit_me")
        self.assertEqual(self.vmon.wait(TIMEOUT), 0)

    def test_from_the_start(self):
        self.start("-S")
        text = self.gdb("""
info registers rip
hbreak start64
continue
break test
continue
printf "rounds=%d\\n", rounds
monitor info status
detach
""")
        self.assertRegex(text, r"Breakpoint 1, start64")
        self.assertRegex(text, r"Breakpoint 2, test")
        self.assertEqual(self.values(text, "rounds"), [0])
        self.wait_rounds(10)


class Packets(Case):
    def test_stop_replies(self):
        self.start()
        c = self.client()
        at, apart = symbol("hit_me"), symbol("apart")
        self.assertRegex(self.hmp("info status"), "paused")
        self.assertIn("qXfer:features:read+",
                      c.ask("qSupported:swbreak+;hwbreak+"))
        self.assertEqual(c.ask("?"), "T05thread:1;")
        code = c.ask(f"m{at:x},4")
        self.assertEqual(c.ask(f"Z0,{at:x},1"), "OK")
        self.assertEqual(c.ask(f"Z0,{at:x},1"), "OK")
        self.assertEqual(c.ask("vCont;c"), "T05thread:1;swbreak:;")
        self.assertEqual(c.ask(f"m{at:x},4"), code)
        self.assertRegex(self.hmp("info status"), r"paused \(debug\)")
        self.assertEqual(c.ask(f"z0,{at:x},1"), "OK")
        self.assertNotEqual(c.ask(f"z0,{at:x},1"), "OK")
        self.assertEqual(c.ask(f"Z1,{at:x},1"), "OK")
        self.assertEqual(c.ask("c"), "T05thread:1;hwbreak:;")
        self.assertEqual(c.ask(f"z1,{at:x},1"), "OK")
        for kind, name, address in ((2, "watch", apart + 8 * 512),
                                    (3, "rwatch", apart + 8 * 516),
                                    (4, "awatch", apart + 8 * 516)):
            point = f"{kind},{address:x},8"
            self.assertEqual(c.ask("Z" + point), "OK")
            self.assertEqual(c.ask("c"),
                             f"T05thread:1;{name}:{address:x};")
            self.assertEqual(c.ask("z" + point), "OK")
        # A byte in the middle of what is stored.
        self.assertEqual(c.ask(f"Z2,{apart + 8 * 512 + 3:x},1"), "OK")
        self.assertEqual(c.ask("c"),
                         f"T05thread:1;watch:{apart + 8 * 512 + 3:x};")
        self.assertEqual(c.ask(f"z2,{apart + 8 * 512 + 3:x},1"), "OK")
        # Instructions within a range are one step.
        self.assertEqual(c.ask(f"Z1,{at:x},1"), "OK")
        self.assertEqual(c.ask("c"), "T05thread:1;hwbreak:;")
        self.assertEqual(c.ask(f"z1,{at:x},1"), "OK")
        first = symbol("work")
        self.assertEqual(c.ask(f"Z1,{first:x},1"), "OK")
        self.assertEqual(c.ask("c"), "T05thread:1;hwbreak:;")
        self.assertEqual(c.ask(f"z1,{first:x},1"), "OK")
        self.assertEqual(c.ask(f"vCont;r{first:x},{at:x}:1"), "T05thread:1;")
        rip = int.from_bytes(bytes.fromhex(c.ask("p10")), "little")
        self.assertFalse(first <= rip < at)
        c.close()

    def test_monitor_and_client(self):
        self.start()
        c = self.client()
        c.send("c")
        self.wait_hmp("info status", "running")
        self.hmp("stop")
        self.assertEqual(c.answer(), "T02thread:1;")
        self.hmp("cont")
        self.wait_rounds(2)
        # A packet stops it again.
        self.assertEqual(c.ask("qAttached"), "1")
        self.assertRegex(self.hmp("info status"), "paused")
        c.send("c")
        self.wait_hmp("info status", "running")
        c.sock.sendall(b"\x03")
        self.assertEqual(c.answer(), "T02thread:1;")
        self.assertEqual(c.ask("qqemu.sstepbits"),
                         "ENABLE=1,NOIRQ=2,NOTIMER=4")
        self.assertEqual(c.ask("qqemu.sstep"), "0x7")
        self.assertEqual(c.ask("Qqemu.sstep=0x5"), "OK")
        self.assertEqual(c.ask("qqemu.sstep"), "0x5")
        self.assertEqual(c.ask("s"), "T05thread:1;")
        pattern = symbol("pattern")
        self.assertEqual(c.ask("Qqemu.PhyMemMode:1"), "OK")
        self.assertEqual(c.ask("qqemu.PhyMemMode"), "1")
        self.assertEqual(c.ask(f"m{pattern:x},2"), "1111")
        self.assertEqual(c.ask(f"X{pattern:x},2:".encode() + b"}\x03\x01"),
                         "OK")
        self.assertEqual(c.ask(f"m{USER + pattern:x},2"), "E14")
        self.assertEqual(c.ask("Qqemu.PhyMemMode:0"), "OK")
        self.assertEqual(c.ask(f"m{USER + pattern:x},2"), "2301")
        self.assertEqual(c.ask(f"M{pattern:x},2:1111"), "OK")
        self.assertEqual(c.ask("QStartNoAckMode"), "OK")
        self.assertEqual(c.ask("D"), "OK")
        self.wait_rounds(2)
        c.close()

    def test_two_clients_and_a_dead_one(self):
        self.start()
        c = self.client()
        at = symbol("hit_me")
        self.assertEqual(c.ask(f"Z0,{at:x},1"), "OK")
        other = self.client()
        with self.assertRaises((EOFError, OSError)):
            other.ask("?")
        other.close()
        self.assertEqual(c.ask("c"), "T05thread:1;")
        c.send("c")
        self.assertEqual(c.answer(), "T05thread:1;")
        # Gone without a word: the machine stays, the breakpoint does not.
        c.close()
        self.wait_hmp("info chardev", "gdb: filename=disconnected")
        self.assertRegex(self.hmp("info status"), r"paused \(debug\)")
        self.hmp("cont")
        self.wait_rounds(10)
        c = self.client()
        self.assertEqual(c.ask("vKill;1"), "OK")
        self.assertEqual(self.vmon.wait(TIMEOUT), 0)
        c.close()

    def test_nonsense(self):
        self.start()
        c = self.client()
        c.sock.sendall(b"garbage$$m0,1#00+++$m0,4#fd")
        self.assertRegex(c.answer(), "^[0-9a-f]{8}$")
        for bad in ("m", "m1", "m1,", "m1,ffffffff", "mffffffffffffffff1,1",
                    "m8000000000000000,10", "M0,4:00", "M0,1:zz", "X0,5:ab",
                    "Z9,0,1", "Z2,0,0", "Z2,ffffffffffffffff,8",
                    "Z2,0,ffffffff", "z0,0,1", "P", "Pffffffff=0", "P0=",
                    "pffff", "G0", "Hx1", "Hg7f", "T0z", "T9999", "vCont;x",
                    "vCont;c:99", "vCont;", "vCont;r1", "qXfer:features:read:"
                    "target.xml:0", "qThreadExtraInfo,77", "qRcmd,0", "qRcmd,",
                    "Qqemu.sstep=8", "C"):
            self.assertRegex(c.ask(bad), "^E[0-9a-f]{2}$", bad)
        for unknown in ("", "!", "vMustReplyEmpty", "qCRC:0,1", "jThreads",
                        "qTStatus", "R00", "i"):
            self.assertEqual(c.ask(unknown), "", unknown)
        c.sock.sendall(b"$" + b"m" * 100000 + b"#%02x" % (109 * 100000 & 255))
        self.assertEqual(c.answer(), "E22")
        self.assertEqual(c.ask("T2"), "OK")
        self.assertEqual(c.ask("qfThreadInfo"), "m1")
        self.assertEqual(c.ask("qsThreadInfo"), "m2")
        self.assertEqual(c.ask("qsThreadInfo"), "l")
        # Many points, and then no more.
        n = 0
        while c.ask(f"Z0,{0x1000 + n:x},1") == "OK":
            n += 1
            self.assertLess(n, 10000)
        self.assertGreater(n, 100)
        c.close()
        self.wait_hmp("info chardev", "gdb: filename=disconnected")
        self.hmp("cont")
        self.wait_rounds(10)


if __name__ == "__main__":
    for tool in ("gdb", "nm"):
        if not shutil.which(tool):
            print(f"no {tool}")
            sys.exit(77)
    SYMBOL = symbols()
    unittest.main(argv=sys.argv[:1], verbosity=2)
