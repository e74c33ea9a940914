#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The same commands for QEMU 7.2 and vmon, answers compared.

    compare.py VMON GUEST VMON-MONITOR.7 [QEMU]

Addresses, versions and paths are masked.  A line with a name in front differs
for the reason that the manual gives under that name, in DIFFERENCES FROM
QEMU; it fails when it no longer differs, and so does a reason without a line.
Skipped without QEMU.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

import manual
import run

SCRIPT = r"""
[print] p 100+200
info status
info name
info uuid
info kvm
[version] info version
info nosuch
info/status
nosuch
[suggestions] inf status
# comment
p/x 1; p 2
help nosuch
[help] help p
[help] help info
[help] ? stop
stop now
cpu 1
cpu 2
cpu -1
cpu nosuch
cpu
[cpus] info cpus
cpu 0
p/x 100+200
p/d 100+200
p 7
p/x 1+2*3
p/x 6&3+1
p/x 1|2^3
p/x 10/3
p/x 10%3
p/x ~0
p/x -1
p/d -1
p/u -1
p/o 8
p/c 65
p/x 010
p/x 0x10
p/x 1/0
p/x 1%0
p/x (1
p/x 1)
p/x $nosuch
p/x $
p/x 'a'
p/x 1k
p/x
p/z 1
p/x "1"
x/4xw
xp/2xw 0x100000
xp/4xb 0x100000
[signs] xp/2dh 0x100000
xp/1xg 0x100000
[signs] xp/4db 0x100000
[signs] xp/2dw 0x100000
xp/2xw 0x7ffffff0000
xp/s 0
sum 0 16
i /xb 0x70
[print] i 0x70
o /b 0x70 0x0f
o /b 0x70
[files] memsave 0 16
pmemsave 0 16 "$TMP/x"
pmemsave 0 16 "/nonexistent/x"
[files] memsave 0 16 /nonexistent/x
gpa2hva 0x7ffffff0000
gva2gpa 0
info history x
set_link nosuch on
set_link nic0 off
info network
set_link nic0 on
set_link nic0 maybe
set_link nic0
balloon -1
balloon 1G
balloon
info balloon
block_resize hd0 1
block_resize nosuch 1
block_resize hd0 x
info block
info block hd0
info block nosuch
info block -v
info blockstats
commit nosuch
commit hd0
commit all
[reasons] drive_add 0 if=none,id=hd0,file=$TMP/disk-x
drive_add 0 if=none
drive_del nosuch
device_add
[reasons] device_add nosuch
device_add virtio-blk-pci
[reasons] device_add virtio-blk-pci,drive=nosuch
[errors] device_add virtio-rng-pci,id=1bad
[reasons] device_add virtio-rng-pci,nosuch=1
device_del nosuch
device_del
[errors] netdev_add user,id=n0
netdev_add nosuch,id=x
netdev_add user
netdev_add user,id=n1
netdev_del n1
netdev_del n1
netdev_del
hostfwd_add tcp::0-x
hostfwd_add nosuch tcp::5555-:22
hostfwd_remove n0 tcp::1
hostfwd_remove tcp::1
object_add rng-builtin,id=rng0
object_add rng-builtin,id=rng0
[reasons] object_add nosuch,id=x
object_del rng0
object_del rng0
chardev-add ringbuf,id=c1,size=64
[reasons] chardev-add ringbuf,id=c1,size=64
chardev-add nosuch,id=c2
chardev-add ringbuf,id=c3,size=63
chardev-remove c1
chardev-remove c1
chardev-send-break nosuch
ringbuf_write c0 abc
ringbuf_read c0 2
ringbuf_read c0 10
ringbuf_read nosuch 1
ringbuf_write nosuch x
info chardev
[log] log nosuch
log none
logfile
sendkey nosuch
sendkey a-nosuch
sendkey 0x1e
sendkey
watchdog_action nosuch
watchdog_action pause
boot_set nosuch
nmi x
system_wakeup
system_reset now
[machine] info memdev
info numa
info iothreads
info memory_size_summary
[machine] info hotpluggable-cpus
info memory-devices
info tlb
info mem
[machine] info ramblock
[machine] info irq
[machine] info pic
[machine] info roms
info registers x
info lapic 7
info usernet
info balloon x
info dump
announce_self x y z
dump-guest-memory
[dump] dump-guest-memory -z -p $TMP/core
dump-guest-memory $TMP/core 0
gdbserver none
[absent] savevm
[absent] loadvm
[absent] delvm
[absent] migrate_cancel
[absent] info migrate
info snapshots
snapshot_blkdev nosuch $TMP/s
snapshot_blkdev hd0
info usb
[absent] info vnc
[absent] info tpm
[translator] info jit
info profile
quit now
"""


def start(program, guest, tmp, name):
    disk = os.path.join(tmp, "disk-" + name)
    with open(disk, "wb") as f:
        f.truncate(1 << 20)
    vm = run.Vmon.__new__(Session)
    vm.name = name
    vm.path = os.path.join(tmp, "monitor-" + name)
    vm.log = open(os.path.join(tmp, "log-" + name), "w+b")
    vm.proc = subprocess.Popen(
        [program, "-nodefaults", "-display", "none", "-S", "-m", "64", "-smp", "2",
         "-accel", "tcg", "-name", "vm1", "-uuid", "12345678-1234-1234-1234-123456789abc",
         "-kernel", guest, "-drive", "file=%s,format=raw,if=none,id=hd0" % disk,
         "-device", "virtio-blk-pci,drive=hd0,id=blk0",
         "-netdev", "user,id=n0", "-device", "virtio-net-pci,netdev=n0,id=nic0",
         "-device", "virtio-balloon-pci,id=bal0", "-chardev", "ringbuf,id=c0,size=64",
         "-monitor", "unix:%s,server=on,wait=off" % vm.path],
        stdin=subprocess.DEVNULL, stdout=vm.log, stderr=vm.log)
    try:
        vm.sock = run.connect(vm.path, vm.proc)
        vm.read_prompt()
    except run.Failure:
        vm.proc.kill()
        vm.proc.wait()
        raise
    return vm


class Session(run.Vmon):
    def command(self, line):
        """Lines that come back; the echo, which QEMU draws anew for each key,
        ends with its line."""
        try:
            self.sock.sendall(line.encode() + b"\n")
            data = self.read_prompt()
        except OSError as e:
            raise run.Failure("%s: %s: %s" % (self.name, line, e))
        if not data.endswith(run.PROMPT):
            raise run.Failure("%s ended at %r" % (self.name, line))
        text = data[:-len(run.PROMPT)].decode(errors="replace")
        return text.split("\r\n")[1:-1]


MASKS = (
    (r"/\S*/(disk|monitor)-\w+", r"PATH"),
    (r"#block\d+", "#block"),
    (r"0x[0-9a-f]{6,}", "ADDRESS"),
    (r"thread_id=\d+", "thread_id=N"),
    (r"\b[0-9a-f]{16}\b", "ADDRESS"),
)


def mask(lines):
    out = []
    for line in lines:
        for pattern, text in MASKS:
            line = re.sub(pattern, text, line)
        out.append(line.rstrip())
    return out


def script():
    for line in SCRIPT.strip("\n").split("\n"):
        m = re.match(r"(?:\[(.*?)\] ?)?(.*)", line)
        yield m.group(1), m.group(2)


def compare(vmon, qemu, guest, reasons):
    bad, used = [], set()
    with tempfile.TemporaryDirectory(prefix="vmon-compare-") as tmp:
        both = []
        try:
            for program, name in ((vmon, "vmon"), (qemu, "qemu")):
                both.append(start(program, guest, tmp, name))
            for why, line in script():
                ours, theirs = (mask(m.command(line.replace("$TMP", tmp))) for m in both)
                used.add(why)
                if why and why not in reasons:
                    bad.append("the manual has no difference '%s'" % why)
                if why and ours == theirs:
                    bad.append("(qemu) %s\n  is no longer different: %s" % (line, why))
                elif not why and ours != theirs:
                    bad.append("(qemu) %s\n--- vmon\n%s\n--- QEMU\n%s" % (
                        line, "\n".join(ours), "\n".join(theirs)))
        finally:
            for m in both:
                m.sock.close()
                m.proc.kill()
                m.proc.wait()
                m.log.close()
    # What a line of a session cannot show; tests/hmp/defects.py does.
    used.update(["echo"])
    for why in sorted(set(reasons) - used):
        bad.append("the manual's difference '%s' is not shown here" % why)
    return bad


def main():
    vmon, guest, page = sys.argv[1:4]
    qemu = sys.argv[4] if len(sys.argv) > 4 else shutil.which("qemu-system-x86_64")
    if not qemu or not os.access(vmon, os.X_OK):
        print("skipped: no QEMU, or no", vmon)
        return 77
    version = subprocess.run([qemu, "--version"], capture_output=True, text=True,
                             timeout=run.TIMEOUT).stdout
    if "version 7.2" not in version:
        print("skipped: not QEMU 7.2:", version.split("\n")[0])
        return 77
    try:
        bad = compare(vmon, qemu, guest, manual.manual_rows(page, "DIFFERENCES FROM QEMU"))
    except run.Failure as e:
        bad = [str(e)]
    print("\n".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
