#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a self-checking guest on one engine: run.py IMAGE tcg|tcg-hot|kvm|qemu [CPUS].

The same image must pass on every engine; QEMU is the referee.  77 (skipped)
when the engine is missing or too slow to be usable.  tcg-check compares
each translated block with the interpreter, tcg-torture makes the rare things
of the engine frequent.
"""
import os
import shutil
import subprocess
import sys

# Where QEMU 7.2's own emulation departs from the manuals; KVM and hardware
# do not.
QEMU_DIFFERS = {
    # P is clear in the error code when a reserved bit is set.
    "kernel reads with a reserved bit",
    "kernel writes with a reserved bit",
    "user reads with a reserved bit",
    "a 2 MiB page has reserved address bits",
    "a 1 GiB page has reserved address bits",
    "PS is reserved in the top level",
    # Non-canonical stack addresses are #GP.
    "... #SS through RBP",
    # Error codes of IDT entries count in 16 bytes, EXT is missing.
    "INT n from ring 3 needs the gate's DPL",
    "an absent gate",
    "a task gate in long mode",
    "#GP while #UD is delivered stays #GP",
    # What is read to be written faults as a load.
    "a loop that stores until it faults",
    # Checks that are missing.
    "GD guards the debug registers",
    "... with BD in DR6",
    "... and clears itself",
    "AC: an unaligned load in ring 3",
    "RDMSR of an unknown one",
    "EFER: a reserved bit",
    "LSTAR: not canonical",
    "GS base: not canonical",
    "PAT: a reserved type",
    "MTRR default type: reserved",
    "WRFSBASE: not canonical",
    # Segment limits and types are not checked.
    "a load across the limit",
    "expand-down below the limit",
    "read-only data is not written",
    "code is not written",
    "a null segment is not read",
    "data beyond a limit",
    "data beyond it",
    "data below an expand-down segment",
    "read-only data",
    "a null segment is not written",
    "code beyond a limit",
    "bit 21 of a 4 MiB page is reserved",
    # INIT clears the MTRRs.
    "... and whose MTRRs are on",
    "LDMXCSR of reserved bits",
    "... and MXCSR stays",
    # SYSCALL loses the arithmetic flags, #DB and RF are not exact.
    "... FMASK clears flags",
    "INT1 is a #DB",
    "... past the instruction",
    "... set",
    # A watched port traps behind all of REP OUTS (SDM 3B "Data Memory and I/O
    # Breakpoint Exception Conditions"), a watched load of SS at once (SDM 3A
    # "Masking Exceptions and Interrupts When Switching Stacks"), and a
    # breakpoint apart from the step (SDM 3B "Debug Exception (#DB)").
    "REP OUTS traps after each",
    "... the first with three to go",
    "... behind the next instruction",
    "a step and a breakpoint are one #DB",
    # FNSTENV does not mask exceptions, FNSTSW AX moves the pointer.
    "... which FNSTENV ends",
    "the instruction pointer",
    "STI holds no step back",
    "... not even its own",
    "an instruction breakpoint behind a load of SS",
}

# Guests about what QEMU 7.2's own emulation does not have at all.
QEMU_LACKS = {
    "vme.bin": "CR4.VME and CR4.PVI change nothing there; SDM 3B \"Interrupt "
               "and Exception Handling in Virtual-8086 Mode\"",
}

image, engine = sys.argv[1:3]
cpus = sys.argv[3] if len(sys.argv) > 3 else "1"
vmon = os.environ.get("VMON", "vmon")
# What is slow enough when only what runs often is compared.
HOT = {"fpu64.bin": "16", "smp64.bin": "16", "vector64.bin": "16"}
command = ["-m", "128", "-smp", cpus, "-kernel", image, "-display", "none",
           "-serial", "stdio", "-monitor", "none", "-no-reboot",
           "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
if engine == "qemu":
    if os.path.basename(image) in QEMU_LACKS:
        print("QEMU:", QEMU_LACKS[os.path.basename(image)])
        sys.exit(77)
    if not shutil.which("qemu-system-x86_64"):
        print("no qemu-system-x86_64")
        sys.exit(77)
    # SYSENTER in long mode is Intel's.
    cpu = "max,vendor=GenuineIntel" if "debug64" in image else "max"
    command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", cpu,
               "-net", "none", "-append", "lenient", *command]
else:
    if engine == "kvm" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        print("no /dev/kvm")
        sys.exit(77)
    # "kvm:tcg" turns down a KVM that is too slow to be of use.
    accel = {"kvm": "kvm:tcg", "tcg": "tcg", "tcg-hot": "tcg,hot=1",
             "tcg-torture": "tcg,hot=1,torture=all",
             "tcg-check": "tcg,check=1,hot=" + HOT.get(
                 os.path.basename(image), "1")}[engine]
    command = [vmon, "-accel", accel,
               *command]
if "spin64" in image:
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
try:
    r = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=300,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
except subprocess.TimeoutExpired as e:
    print((e.stdout or b"").decode(errors="replace"))
    print("timed out")
    sys.exit(1)
text = r.stdout.decode(errors="replace")
print(text)
if engine == "kvm" and "trying tcg" in text:
    sys.exit(77)
# isa-debug-exit: status = value * 2 + 1; the guest writes 0 for success.
failed = {line[5:] for line in text.splitlines() if line.startswith("FAIL ")}
if engine == "qemu":
    ok = r.returncode in (1, 3) and "RESULT" in text and not (
        failed - QEMU_DIFFERS)
else:
    ok = r.returncode == 1 and "RESULT PASS" in text and not failed and (
        "translated code differs" not in text)
sys.exit(0 if ok else 1)
