#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The same QMP script for QEMU 7.2 and vmon, answers compared.

    compare.py VMON [QEMU]

What differs for a reason is in SAME_ONLY and DIFFERENT.  Skipped without
QEMU.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import run

# Only these members are compared: the rest is about the host, or about
# devices that only one of the two has.
SAME_ONLY = {
    "query-version": [],
    "query-chardev": ["frontend-open"],
    "query-cpus-fast": ["cpu-index", "props", "target"],
    "query-hotpluggable-cpus": ["props", "vcpus-count"],
    "query-block": ["device", "io-status", "locked", "removable", "type", "qdev"],
    "query-blockstats": ["device", "qdev"],
}
# Answers that are not equal, and why.
DIFFERENT = {
    "capabilities": "vmon names the parameter, QEMU says 'null'",
    "huge": "an integer beyond 64 bits is no JSON for vmon",
    "negative": "vmon looks at the number before it looks for the balloon",
    "duplicate": "vmon says of what the ID is a duplicate",
    "unexpected": "of two unexpected members QEMU names any",
    "oob": "queries may overtake others in vmon",
    "model": "vmon says how to list the models",
    "type": "vmon says what it accepts",
}
SCRIPT = [
    ("", '{"execute":"query-status","id":1}'),
    ("capabilities", '{"execute":"qmp_capabilities","arguments":{"enable":["bogus"]}}'),
    ("", '{"execute":"qmp_capabilities","arguments":{"enable":["oob"]},"id":1}'),
    ("", '{"execute":"qmp_capabilities"}'),
    ("", '{"execute":"query-status","id":{"a":[1,2.5,"x",null,true]}}'),
    ("", '{"execute":"query-version"}'),
    ("", '{"execute":"nosuch","id":7}'),
    ("", '{"execute":"stop","arguments":{"foo":1}}'),
    ("", '{"execute":"stop","foo":1}'),
    ("", '{"execute":"stop","arguments":3}'),
    ("", '{"execute":"stop","arguments":null}'),
    ("", '{"execute":3}'),
    ("", '{"foo":3}'),
    ("", '{"id":3}'),
    ("", "[1,2]"),
    ("", "3"),
    ("", '"str"'),
    ("", "{'execute':'query-name','id':'it\\'s'}"),
    ("", '{"execute":}'),
    ("", "foo"),
    ("", "{]"),
    ("", '{"a":1,"a":2}'),
    ("", '\xff{"execute":"query-name"}'),
    ("", '{"execute":"que\xff{"execute":"query-name"}'),
    ("", '{"execute":"que\n{"execute":"query-name"}'),
    ("", '{"execute":"balloon","arguments":{"value":"x"}}'),
    ("", '{"execute":"balloon","arguments":{}}'),
    ("", '{"execute":"balloon","arguments":{"value":1.5}}'),
    ("negative", '{"execute":"balloon","arguments":{"value":-1}}'),
    ("huge", '{"execute":"balloon","arguments":{"value":18446744073709551615}}'),
    ("", '{"execute":"balloon","arguments":{"value":1048576}}'),
    ("", '{"execute":"query-balloon"}'),
    ("", '{"execute":"set_link","arguments":{"name":"x","up":1}}'),
    ("", '{"execute":"set_link","arguments":{"name":"x","up":true}}'),
    ("", '{"execute":"set_link","arguments":{"name":5,"up":true}}'),
    ("unexpected", '{"execute":"set_link","arguments":{"name":"x","up":true,"zz":1,"yy":2}}'),
    ("oob", '{"exec-oob":"query-status","id":4}'),
    ("", '{"exec-oob":"stop","id":4}'),
    ("", '{"exec-oob":"query-status","execute":"query-status"}'),
    ("", '{"execute":"human-monitor-command","arguments":{"command-line":"info status"}}'),
    ("", '{"execute":"human-monitor-command","arguments":{"command-line":"info name","cpu-index":9}}'),
    ("", '{"execute":"human-monitor-command","arguments":{"command-line":"quit extra"}}'),
    ("", '{"execute":"human-monitor-command","arguments":{"command-line":"p/x 5"}}'),
    ("", '{"execute":"device_del","arguments":{"id":"x"}}'),
    ("model", '{"execute":"device_add","arguments":{"driver":"nosuch"}}'),
    ("", '{"execute":"netdev_add","arguments":{"type":"user","id":"n1"}}'),
    ("duplicate", '{"execute":"netdev_add","arguments":{"type":"user","id":"n1"}}'),
    ("", '{"execute":"netdev_del","arguments":{"id":"n1"}}'),
    ("", '{"execute":"netdev_del","arguments":{"id":"n1"}}'),
    ("", '{"execute":"system_reset","id":"r"}'),
    ("", '{"execute":"system_powerdown"}'),
    ("", '{"execute":"inject-nmi"}'),
    ("", '{"execute":"system_wakeup"}'),
    ("", '{"execute":"memsave","arguments":{"val":0,"size":10,"filename":"/nonexistent/x"}}'),
    ("", '{"execute":"pmemsave","arguments":{"val":0,"size":10,"filename":"/nonexistent/x"}}'),
    ("", '{"execute":"block_resize","arguments":{"device":"x","size":10}}'),
    ("", '{"execute":"block_resize","arguments":{"device":"hd0","size":2097152}}'),
    ("", '{"execute":"query-block"}'),
    ("", '{"execute":"query-blockstats"}'),
    ("", '{"execute":"query-chardev"}'),
    ("", '{"execute":"query-cpus-fast"}'),
    ("", '{"execute":"query-hotpluggable-cpus"}'),
    ("", '{"execute":"query-iothreads"}'),
    ("", '{"execute":"query-jobs"}'),
    ("", '{"execute":"query-memory-devices"}'),
    ("", '{"execute":"query-memory-size-summary"}'),
    ("", '{"execute":"query-migrate"}'),
    ("", '{"execute":"query-name"}'),
    ("", '{"execute":"query-target"}'),
    ("", '{"execute":"query-tpm"}'),
    ("", '{"execute":"query-uuid"}'),
    ("", '{"execute":"query-vnc"}'),
    ("", '{"execute":"chardev-add","arguments":{"id":"c1","backend":{"type":"ringbuf","data":{"size":64}}}}'),
    ("", '{"execute":"ringbuf-write","arguments":{"device":"c1","data":"abc"}}'),
    ("", '{"execute":"ringbuf-read","arguments":{"device":"c1","size":10}}'),
    ("", '{"execute":"ringbuf-read","arguments":{"device":"zz","size":3}}'),
    ("", '{"execute":"chardev-remove","arguments":{"id":"c1"}}'),
    ("", '{"execute":"chardev-remove","arguments":{"id":"c1"}}'),
    ("", '{"execute":"object-add","arguments":{"qom-type":"rng-builtin","id":"r0"}}'),
    ("type", '{"execute":"object-add","arguments":{"qom-type":"bogus","id":"r1"}}'),
    ("", '{"execute":"object-add","arguments":{"qom-type":"rng-builtin"}}'),
    ("", '{"execute":"object-del","arguments":{"id":"r0"}}'),
    ("", '{"execute":"object-del","arguments":{"id":"zz"}}'),
    ("", '{"execute":"quit","id":"bye"}'),
]
MARK = "compare-mark"


def start(program, tmp, name):
    path = os.path.join(tmp, name)
    disk = path + ".raw"
    with open(disk, "wb") as f:
        f.truncate(1 << 20)
    proc = subprocess.Popen(
        [program, "-nodefaults", "-display", "none", "-S", "-m", "64", "-smp", "2",
         "-accel", "tcg", "-name", "vm1", "-drive",
         "file=%s,format=raw,if=none,id=hd0" % disk,
         "-device", "virtio-blk-pci,drive=hd0,id=blk0",
         "-qmp", "unix:%s,server=on,wait=off" % path],
        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return proc, run.Qmp(path, proc)


def answers(program, tmp, name):
    """Per line of the script what came before the next one was answered."""
    proc, qmp = start(program, tmp, name)
    result = []
    try:
        for _, line in SCRIPT:
            qmp.send(line.encode("latin-1") + b"\n")
            got = []
            # An answer to a message that is always understood, but before
            # the negotiation is refused, says that all has come.
            if "quit" not in line or "extra" in line:
                qmp.send(json.dumps({"execute": "query-name", "id": MARK}).encode() + b"\n")
            while True:
                v = qmp.next()
                if v is None or v.get("id") == MARK:
                    break
                got.append(v)
            result.append(got)
        proc.wait(run.TIMEOUT)
    finally:
        if proc.poll() is None:
            proc.kill()
        proc.wait()
    return result


def mask(line, messages):
    command = re.search(r'execute": ?"([^"]*)"', line)
    members = SAME_ONLY.get(command.group(1)) if command else None
    out = []
    for v in messages:
        v = {k: x for k, x in v.items() if k != "timestamp"}
        if members is not None and "return" in v:
            rows = v["return"] if isinstance(v["return"], list) else [v["return"]]
            v["return"] = [{k: row.get(k) for k in members} for row in rows]
        out.append(json.dumps(v, sort_keys=True))
    return out


def main():
    vmon = sys.argv[1]
    qemu = sys.argv[2] if len(sys.argv) > 2 else shutil.which("qemu-system-x86_64")
    if not qemu or not os.access(vmon, os.X_OK):
        print("skipped: no QEMU, or no", vmon)
        return 77
    version = subprocess.run([qemu, "--version"], capture_output=True, text=True).stdout
    if "version 7.2" not in version:
        print("skipped: not QEMU 7.2:", version.split("\n")[0])
        return 77
    bad = 0
    with tempfile.TemporaryDirectory(prefix="vmon-compare-") as tmp:
        ours = answers(vmon, tmp, "vmon")
        theirs = answers(qemu, tmp, "qemu")
    for (why, line), a, b in zip(SCRIPT, ours, theirs):
        a, b = mask(line, a), mask(line, b)
        if a != b and why not in DIFFERENT:
            print("-> %s\n   vmon %s\n   QEMU %s" % (line, a, b))
            bad += 1
        elif a == b and why:
            print("-> %s\n   is no longer different: %s" % (line, why))
            bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
