#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""run.py IMAGE ENGINE: boots the image and reads what it says.

ENGINE is tcg, kvm, or qemu: QEMU with SeaBIOS, as a referee of the test.
Exit status 77: skipped.
"""
import os
import shutil
import subprocess
import sys
import tempfile

DISK_BYTES = 1 << 20
LIMIT_S = 120


def command(engine):
    if engine == "qemu":
        program = shutil.which("qemu-system-x86_64")
        if not program:
            print("skipped: qemu-system-x86_64 is not installed")
            sys.exit(77)
        return [program, "-accel", "tcg", "-device", "VGA"]
    return [os.environ["VMON"], "-accel", engine]


def main():
    image, engine = sys.argv[1:]
    with tempfile.NamedTemporaryFile() as disk:
        with open(image, "rb") as source:
            disk.write(source.read())
        disk.truncate(DISK_BYTES)
        disk.flush()
        done = subprocess.run(
            [*command(engine), "-m", "64", "-nodefaults", "-display", "none",
             "-no-reboot", "-debugcon", "stdio",
             "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
             "-drive", f"file={disk.name},format=raw,if=virtio"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            timeout=LIMIT_S, check=False)
    text = done.stdout.decode(errors="replace")
    print(text, end="")
    if done.returncode != 1 or not text.endswith("done\n") or \
       "FAIL" in text or text.count("PASS") < 40:
        print(f"exit status {done.returncode}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
