# SPDX-License-Identifier: GPL-2.0-or-later
"""What the benchmark programs share."""
import pathlib
import platform
import re
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def need(program, group):
    """Obtains it as every test does."""
    if not shutil.which(program):
        subprocess.run([ROOT / "tools" / "install", group], check=True)
    if not shutil.which(program):
        raise SystemExit(f"no {program}")


def cpio(where, program):
    """An initramfs: /init, /dev and /dev/console."""
    out = where / "initrd"
    with open(out, "wb") as f:
        def entry(ino, name, mode, data=b"", rdev=(0, 0)):
            fields = (ino, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev,
                      len(name) + 1, 0)
            head = b"070701" + b"".join(b"%08X" % v for v in fields)
            head += name.encode() + b"\0"
            f.write(head + b"\0" * (-len(head) % 4))
            f.write(data + b"\0" * (-len(data) % 4))

        entry(1, "dev", 0o040755)
        entry(2, "dev/console", 0o020600, rdev=(5, 1))
        entry(3, "init", 0o100755, pathlib.Path(program).read_bytes())
        entry(0, "TRAILER!!!", 0)
    return str(out)


def processor():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    m = re.search(r"^model name\s*: (.*)$", text, re.M)
    return m.group(1) if m else platform.machine()
