#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A real gdb on a Linux guest, with the symbols that the guest tells."""
import os
import re
import shutil
import struct
import subprocess
import unittest

import vm

WANTED = "(do_sys_openat2|do_syscall_64|__x64_sys_.*|schedule)"


def symbol_file(path, symbols):
    """An ELF with nothing but a .text of these functions, from the lowest to
    behind the highest."""
    base = min(symbols.values()) & ~0xfff
    size = max(symbols.values()) + 0x1000 - base
    names = b"\0.text\0.symtab\0.strtab\0.shstrtab\0"
    strings, table = b"\0", bytes(24)
    for name, value in sorted(symbols.items()):
        table += struct.pack("<IBBHQQ", len(strings), 0x12, 0, 1, value, 0)
        strings += name.encode() + b"\0"
    at = 64
    sections = [bytes(64)]

    def section(name, kind, flags, addr, size, link, info, entry):
        sections.append(struct.pack(
            "<IIQQQQIIQQ", names.index(b"\0" + name + b"\0") + 1, kind, flags,
            addr, at, size, link, info, 8, entry))

    section(b".text", 8, 6, base, size, 0, 0, 0)
    section(b".symtab", 2, 0, 0, len(table), 3, 1, 24)
    at += len(table)
    section(b".strtab", 3, 0, 0, len(strings), 0, 0, 0)
    at += len(strings)
    section(b".shstrtab", 3, 0, 0, len(names), 0, 0, 0)
    at += len(names)
    head = b"\x7fELF\2\1\1".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 2, 62, 1, base, 0, at, 0, 64, 0, 0, 64,
        len(sections), 4)
    with open(path, "wb") as f:
        f.write(head + table + strings + names + b"".join(sections))


class Gdb(unittest.TestCase):
    def test_kernel(self):
        if not shutil.which("gdb"):
            raise vm.Skip("no gdb")
        with vm.LinuxVm("-smp", 2, memory=256, monitor=True) as guest:
            guest.boot(400)
            said = guest.run(f"grep -E ' [tT] {WANTED}$' /proc/kallsyms", 60)
            symbols = {l.split()[2]: int(l.split()[0], 16)
                       for l in said.splitlines() if len(l.split()) == 3}
            self.assertGreater(len(symbols), 100)
            release = guest.run("uname -r").strip()
            path = os.path.join(guest.dir, "symbols")
            symbol_file(path, symbols)
            stub = os.path.join(guest.dir, "gdb")
            guest.monitor(f"gdbserver unix:{stub},server=on,wait=off")
            guest.run("(while sleep 0.1; do cat /proc/version; done "
                      "> /dev/null) &")
            jiffies = int(guest.run("grep ' jiffies_64$' /proc/kallsyms")
                          .split()[0], 16)
            text = self.gdb(path, stub, jiffies)
            guest.monitor("gdbserver none")
            self.assertEqual(guest.run("echo still here"), "still here\n")
            self.assertEqual(guest.run("uname -r").strip(), release)
        for kind, name in (("1, ", "do_sys_openat2"), ("2, ", "schedule")):
            self.assertRegex(text, rf"Breakpoint {kind}0x[0-9a-f]+ in {name}")
        self.assertRegex(text, r"name=/proc/version|name=/")
        self.assertRegex(text, rf"at={symbols['do_sys_openat2']:#x}")
        self.assertRegex(text, r"#0 +0x[0-9a-f]+ in schedule")
        self.assertEqual(len(re.findall(r"^\*? +\d+ +Thread \d \(CPU#\d",
                                        text, re.M)), 2, text)
        self.assertRegex(text, r"Hardware watchpoint 3.*")
        self.assertRegex(text, r"(?s)Old value.*New value")
        self.assertRegex(text, r"ring=3")

    def gdb(self, symbols, stub, jiffies):
        script = os.path.join(os.path.dirname(stub), "script")
        with open(script, "w") as f:
            f.write(f"""set pagination off
set confirm off
set width 0
target remote {stub}
break *do_sys_openat2
continue
printf "at=%#lx\\n", $rip
printf "name=%s\\n", (char *)$rsi
hbreak *schedule
delete 1
continue
bt 1
info threads
delete
watch *(long *){jiffies:#x}
continue
delete
tbreak *do_syscall_64 if $rsi == 257
continue
set $up = ((long *)$rdi)[16]
tbreak *$up
continue
printf "ring=%d\\n", $cs & 3
stepi
stepi
detach
""")
        r = subprocess.run(["gdb", "-nx", "-batch", "-x", script, symbols],
                           timeout=60 * vm.SLOW, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return r.stdout.decode(errors="replace")


if __name__ == "__main__":
    unittest.main()
