#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""`vmon img` beside qemu-img: the same words, answers and images."""
import json
import os
import pathlib
import random
import re
import resource
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import unittest

VMON = [os.environ.get("VMON", "build/vmon"), "img"]
VMON[0] = os.path.abspath(VMON[0])
QEMU = ["qemu-img"]
KIB, MIB = 1 << 10, 1 << 20

# Commands that both are given, one after the other, each in its own folder.
SAME = """
create -f qcow2 a.qcow2 1G
create a.raw 10M
create -q b.raw 1k
create -f qcow2 -b a.qcow2 -F qcow2 b.qcow2
create -f qcow2 -u -b nosuch -F raw u.qcow2 2M
create -f qcow2 -o cluster_size=4k,compat=0.10 c.qcow2 5M
create -f qcow2 -o preallocation=metadata,lazy_refcounts=on,extended_l2=on,refcount_bits=8 d.qcow2 5M
create -f qcow2 -o compression_type=zstd -o cluster_size=2M e.qcow2 3T
create -f qcow2 -o backing_file=a.qcow2,backing_fmt=qcow2 f.qcow2 2G
create -f qcow2 -b nosuch -F raw no.qcow2
create -f qcow2 -b a.qcow2 no.qcow2
create -f foo no 1M
create -f qcow2 no
create -f qcow2 no 1X
create -f qcow2 -o foo=1 no 1M
create -f qcow2 -o cluster_size=3 no 1M
create -f qcow2 -o cluster_size=4M no 1M
create -f qcow2 -o refcount_bits=3 no 1M
create -f qcow2 -o compat=0.10,lazy_refcounts=on no 1M
create -f qcow2 -o compat=0.10,refcount_bits=8 no 1M
create -f qcow2 -o extended_l2=on,cluster_size=4k no 1M
create -f qcow2 -o cluster_size=512 no 1T
create
info a.qcow2
info b.raw
info b.qcow2
info c.qcow2
info d.qcow2
info e.qcow2
info u.qcow2
info --backing-chain f.qcow2
info --output=json a.raw
info --output=json b.qcow2
info --output=json --backing-chain f.qcow2
info --backing-chain u.qcow2
info --output=xml a.raw
info nosuch
info
info -f qcow2 a.raw
check a.qcow2
check --output=json a.qcow2
check -q d.qcow2
check -T none d.qcow2
check --output=json d.qcow2
check a.raw
check -r foo a.qcow2
check -r all a.qcow2
check nosuch
map a.qcow2
map --output=json a.qcow2
map --output=json f.qcow2
map --output=json -s 1M -l 2M f.qcow2
compare a.qcow2 b.qcow2
compare a.qcow2 f.qcow2
compare -s a.qcow2 f.qcow2
compare a.qcow2 nosuch
compare a.qcow2
resize a.qcow2 2G
resize a.qcow2 +1M
resize a.qcow2 1G
resize --shrink a.qcow2 1G
resize -f raw a.raw -1M
resize -q --shrink -f raw a.raw -- -1M
resize -f raw a.raw abc
resize a.qcow2
commit a.qcow2
commit f.qcow2
commit -q b.qcow2
info a.qcow2
convert a.qcow2
convert -O foo a.qcow2 no
convert -O qcow2 nosuch no
convert -c -O raw a.qcow2 no
create -f qcow2 -o cluster_size=4k no
create -f qcow2 -b a.qcow2 -F qcow2 a.qcow2
create -u -f qcow2 -b a.qcow2 -F qcow2 a.qcow2 1M
create -q -f qcow2 -b a.qcow2 -F qcow2 r.qcow2
rebase -u -b f.qcow2 -F qcow2 r.qcow2
info r.qcow2
rebase -b a.qcow2 -F qcow2 r.qcow2
rebase -b nosuch -F raw r.qcow2
rebase -u -b zz r.qcow2
rebase -p -b "" r.qcow2
rebase -u -b x -F raw a.raw
rebase r.qcow2
info --output=json r.qcow2
dd if=a.qcow2 of=dd.raw bs=1M count=2 skip=1
dd -O qcow2 if=a.raw of=dd.qcow2 bs=1M
dd if=a.raw
dd if=a.raw of=no bs=x
dd if=a.raw of=no foo=1
info dd.raw
info dd.qcow2
create -q -f qcow2 s.qcow2 10M
snapshot s.qcow2
snapshot -l s.qcow2
snapshot -c one s.qcow2
snapshot -c "two words and a long name" s.qcow2
snapshot -l s.qcow2
info s.qcow2
info --output=json s.qcow2
snapshot -a nosuch s.qcow2
snapshot -d nosuch s.qcow2
snapshot -a 1 s.qcow2
snapshot -d 1 s.qcow2
snapshot -d one s.qcow2
snapshot -l s.qcow2
snapshot -l a.raw
snapshot -c x a.raw
create -q -f qcow2 bm.qcow2 10M
create -q -f qcow2 bm2.qcow2 10M
bitmap --add bm.qcow2 b0
bitmap --add bm.qcow2 b0
bitmap --add -g 4k bm.qcow2 b1
bitmap --add --disable -g 1M bm.qcow2 b2
bitmap --add -g 3k bm.qcow2 b3
bitmap --add -g 4G bm.qcow2 b3
bitmap -g 4k --clear bm.qcow2 b0
bitmap --clear bm.qcow2 nosuch
bitmap bm.qcow2 b0
bitmap --add bm.qcow2
bitmap
bitmap --add --enable --disable bm.qcow2 b5
bitmap --remove --add bm.qcow2 b1
bitmap --add --remove bm.qcow2 b6
bitmap --remove bm.qcow2 b5
bitmap --merge b1 bm.qcow2 b0
bitmap --merge nosuch bm.qcow2 b0
bitmap --add -b bm.qcow2 --merge b1 bm2.qcow2 c
bitmap -b bm.qcow2 -F qcow2 --merge b1 --merge b2 bm2.qcow2 c
bitmap -F qcow2 --clear bm.qcow2 b0
bitmap -b bm.qcow2 --clear bm.qcow2 b0
bitmap --add c.qcow2 b0
bitmap --add -f raw a.raw b0
bitmap --add bm.qcow2 ""
info bm.qcow2
info --output=json bm.qcow2
snapshot -c one bm.qcow2
snapshot -a one bm.qcow2
snapshot -d one bm.qcow2
resize bm.qcow2 30M
resize --shrink bm.qcow2 5M
info bm.qcow2
measure -O qcow2 bm.qcow2
convert --bitmaps -O qcow2 bm.qcow2 bmc.qcow2
convert --bitmaps bm.qcow2 bmc.raw
convert --skip-broken-bitmaps -O qcow2 bm.qcow2 bmc.qcow2
info bmc.qcow2
bitmap --remove bm.qcow2 b0
bitmap --remove bm.qcow2 b1
bitmap --remove bm.qcow2 b2
info bm.qcow2
check -q bm.qcow2
measure a.qcow2
measure -O qcow2 a.qcow2
measure --output=json -O qcow2 a.qcow2
measure -O raw --size 1G
measure -O qcow2 --size 1G
measure -O qcow2 --size 1G -o preallocation=full
measure -O qcow2 --size 1T -o cluster_size=4k,refcount_bits=1,extended_l2=off
measure -O qcow2 --size 1T -o extended_l2=on
measure -O qcow2 --size 1001
measure -O foo --size 1G
measure --size 1G a.qcow2
measure
measure --size x
measure -O qcow2 -o foo=1 --size 1G
measure -O qcow2 nosuch
measure -l x a.qcow2
measure -O qcow2 --size 1G -f raw
create -f qcow2 -o preallocation=falloc pf.qcow2 5M
create -f qcow2 -o preallocation=full pn.qcow2 5M
create -f raw -o preallocation=falloc pf.raw 5M
create -f raw -o preallocation=full pn.raw 5M
measure -O qcow2 -f raw pn.raw
create -f qcow2 -o preallocation=full -b a.qcow2 -F qcow2 no 5M
create -f qcow2 -o preallocation=falloc,extended_l2=on -b a.qcow2 -F qcow2 px.qcow2
resize --preallocation=falloc pf.qcow2 10M
resize --preallocation=full pf.qcow2 15M
resize --preallocation=metadata pf.qcow2 20M
resize --preallocation=foo pf.qcow2 25M
resize --shrink --preallocation=full pf.qcow2 4M
resize --preallocation=full -f raw pf.raw 7M
resize --preallocation=metadata -f raw pf.raw 9M
convert -t foo a.qcow2 no
convert -T foo a.qcow2 no
check -T foo a.qcow2
commit -t foo a.qcow2
compare -T foo a.qcow2 a.qcow2
rebase -t foo -u -b x -F raw r.qcow2
convert -t none -T directsync pn.qcow2 t.raw
convert -t writethrough -O qcow2 pn.qcow2 tw.qcow2
convert -C -c -O qcow2 pn.raw no
convert -C -S 4k pn.raw no
convert --salvage -C pn.raw no
convert -n -o cluster_size=4k pn.raw t.raw
convert --target-is-zero pn.raw t.raw
convert -r 1x pn.raw no
convert -B a.qcow2 -F qcow2 -O qcow2 pn.raw t.raw no
convert -l s pn.raw t.raw no
convert -l s pn.raw no
convert -l nosuch pn.qcow2 no
convert -l snapshot.foo=s pn.qcow2 no
convert -C pn.raw t2.raw
convert --target-image-opts -n pn.qcow2 driver=raw,file.filename=t2.raw
convert --target-image-opts -n -O raw pn.qcow2 driver=raw,file.filename=t2.raw
convert --target-image-opts pn.qcow2 driver=raw,file.filename=t2.raw
info --image-opts driver=qcow2,file.filename=pn.qcow2
info --image-opts driver=raw,file.filename=pn.raw
info --image-opts filename=pn.qcow2
info --image-opts driver=foo,file.filename=pn.qcow2
info --image-opts pn.qcow2
info --image-opts -f raw driver=file,filename=pn.raw
info --image-opts driver=qcow2,file.filename=pn.qcow2,foo=1
compare --image-opts driver=raw,file.filename=pn.raw driver=qcow2,file.filename=pn.qcow2
create --image-opts no 1M
commit -r x b.qcow2
commit -b nosuch b.qcow2
commit -b b.qcow2 b.qcow2
commit -d b.qcow2
commit -b a.qcow2 b.qcow2
create -q -f qcow2 am.qcow2 10M
amend -o compat=0.10 am.qcow2
info am.qcow2
amend -o lazy_refcounts=on am.qcow2
amend -o refcount_bits=8 am.qcow2
amend -o compat=1.1,refcount_bits=8 am.qcow2
info am.qcow2
amend -o compat=0.10 am.qcow2
amend -o refcount_bits=16,compat=0.10 am.qcow2
amend -o compat=1.1 -o refcount_bits=3 am.qcow2
amend -p -o compat=v3,lazy_refcounts=on am.qcow2
info am.qcow2
amend -o lazy_refcounts=off am.qcow2
amend -o size=20M am.qcow2
amend -o size=5M,refcount_bits=64 am.qcow2
info --output=json am.qcow2
amend -o cluster_size=4k am.qcow2
amend -o backing_file=a.qcow2 am.qcow2
amend -o backing_fmt=raw am.qcow2
amend -o foo=1 am.qcow2
amend -o compat=foo am.qcow2
amend -o compression_type=zstd am.qcow2
amend am.qcow2
amend -o compat=1.1
amend -o help
amend -f raw -o size=1M a.raw
amend -o size=1M nosuch
amend -t foo -o compat=1.1 am.qcow2
amend --force -q -o compat=1.1 am.qcow2
amend -o compat=0.10 d.qcow2
nosuch
"""


def run(program, folder, *args):
    return subprocess.run(program + list(args), cwd=folder, text=True,
                          capture_output=True, timeout=120)


def masked(text):
    text = re.sub(r"disk size: .*", "disk size: X", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "DATE", text)
    return re.sub(r"\s*\((\d+\.\d+)/100%\)\r?", "", text)


class Img(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(dir="/var/tmp"))
        self.addCleanup(shutil.rmtree, self.dir)
        self.mine, self.theirs = self.dir / "vmon", self.dir / "qemu"
        self.mine.mkdir()
        self.theirs.mkdir()

    def ok(self, program, *args, folder=None):
        r = run(program, folder or self.dir, *map(str, args))
        self.assertEqual(r.returncode, 0, (program, args, r.stdout, r.stderr))
        return r.stdout

    def pattern(self, name, size=20 * MIB, seed=1):
        """Noise, text, zeroes and holes; the end is in no cluster's middle."""
        rng = random.Random(seed)
        path = self.dir / name
        with open(path, "wb") as f:
            f.truncate(size)
            for at in range(0, size - 128 * KIB, 200 * KIB):
                f.seek(at)
                kind = rng.randrange(4)
                n = rng.randrange(512, 128 * KIB)
                if kind == 0:
                    f.write(rng.randbytes(n))
                elif kind == 1:
                    f.write((b"text %d " % at) * (n // 16))
                elif kind == 2:
                    f.write(bytes(n))
            f.seek(size - 700)
            f.write(b"end")
        return path


class Same(Img):
    def test_answers(self):
        for line in SAME.strip().splitlines():
            with self.subTest(line):
                words = shlex.split(line)
                want = run(QEMU, self.theirs, *words)
                have = run(VMON, self.mine, *words)
                self.assertEqual(have.returncode, want.returncode,
                                 have.stderr + want.stderr)
                self.assertEqual(bool(have.stderr), bool(want.stderr),
                                 have.stderr)
                if want.returncode == 1 and want.stderr:
                    lines = have.stderr.splitlines()
                    self.assertTrue(lines[0].startswith("vmon img: "))
                    self.assertLessEqual(len(lines), 2)
                if "--output=json" in words and want.returncode == 0:
                    self.same_json(have.stdout, want.stdout)
                else:
                    self.assertEqual(masked(have.stdout), masked(want.stdout))
        for image in self.mine.glob("*.qcow2"):
            if image.stem not in ("u", "no", "r"):
                self.ok(QEMU, "check", "-q", image)
                self.ok(QEMU, "compare", image, self.theirs / image.name)

    def same_json(self, have, want):
        have, want = json.loads(have), json.loads(want)
        for value in (have, want):
            for o in value if isinstance(value, list) else [value]:
                o.pop("actual-size", None)
                for s in o.get("snapshots", []):
                    del s["date-sec"], s["date-nsec"]
        self.assertEqual(have, want)

    def test_check(self):
        """Leaks and errors, as they are told and as they are repaired."""
        for patches in ([(0x20014, b"\0\1")], [(0x20006, b"\0\0")],
                        [(0x20014, b"\0\1"), (0x20006, b"\0\2")]):
            path = self.dir / "c.qcow2"
            self.ok(QEMU, "create", "-q", "-f", "qcow2", path, "1G")
            with open(path, "r+b") as f:
                f.truncate(MIB)
                for at, data in patches:
                    f.seek(at)
                    f.write(data)
            for args in (["check"], ["check", "--output=json"]):
                want = run(QEMU, self.dir, *args, "c.qcow2")
                have = run(VMON, self.dir, *args, "c.qcow2")
                self.assertIn(want.returncode, (2, 3))
                self.assertEqual(have.returncode, want.returncode)
            self.assertEqual(json.loads(have.stdout), json.loads(want.stdout))
            how = "leaks" if want.returncode == 3 else "all"
            self.ok(VMON, "check", "-r", how, path)
            self.ok(VMON, "check", path)
            self.ok(QEMU, "check", path)


class Convert(Img):
    OPTIONS = ([], ["-o", "cluster_size=512"], ["-o", "cluster_size=2M"],
               ["-o", "compat=0.10"], ["-o", "refcount_bits=1"],
               ["-o", "refcount_bits=64,cluster_size=4k"],
               ["-o", "extended_l2=on"], ["-c"], ["-c", "-W"],
               ["-c", "-m", "1"], ["-c", "-o", "compression_type=zstd"],
               ["-c", "-o", "cluster_size=4k"],
               ["-c", "-o", "cluster_size=2M,compression_type=zstd"],
               ["-c", "-o", "refcount_bits=1"],
               ["-c", "-o", "extended_l2=on"], ["-S", "0"],
               ["-o", "preallocation=metadata"])

    def test_both_ways(self):
        raw = self.pattern("raw")
        for n, options in enumerate(self.OPTIONS):
            with self.subTest(options):
                mine, theirs = self.dir / f"m{n}", self.dir / f"q{n}"
                self.ok(VMON, "convert", "-O", "qcow2", *options, raw, mine)
                self.ok(QEMU, "check", "-q", mine)
                self.ok(QEMU, "compare", "-f", "raw", raw, mine)
                self.ok(QEMU, "convert", "-O", "qcow2", *options, raw, theirs)
                self.ok(VMON, "check", "-q", theirs)
                self.ok(VMON, "compare", "-f", "raw", raw, theirs)
                back = self.dir / "back"
                self.ok(VMON, "convert", theirs, back)
                self.ok(["cmp"], raw, back)
                if "-c" in options:
                    self.assertLess(mine.stat().st_size,
                                    theirs.stat().st_size * 1.05 + 128 * KIB)
                mine.unlink()
                theirs.unlink()

    def test_raw_is_sparse(self):
        raw, copy = self.pattern("raw"), self.dir / "copy"
        text = self.ok(VMON, "convert", "-p", "-f", "raw", raw, copy)
        self.assertRegex(text, r"    \(100\.00/100%\)\n$")
        self.ok(["cmp"], raw, copy)
        self.assertLessEqual(copy.stat().st_blocks, raw.stat().st_blocks)

    def test_existing_target(self):
        """-n: zeroes are written, too."""
        raw, old = self.pattern("raw"), self.pattern("old", seed=2)
        for format in ("raw", "qcow2"):
            target = self.dir / f"t.{format}"
            self.ok(VMON, "convert", "-f", "raw", "-O", format, old, target)
            self.ok(VMON, "convert", "-n", "-f", "raw", "-O", format, raw,
                    target)
            self.ok(QEMU, "compare", "-f", "raw", "-F", format, raw, target)

    def test_backing(self):
        raw, base = self.pattern("raw"), self.pattern("base", seed=2)
        top = self.dir / "top"
        self.ok(VMON, "convert", "-f", "raw", "-O", "qcow2", "-B", base, "-F",
                "raw", raw, top)
        self.ok(QEMU, "compare", "-f", "raw", raw, top)
        self.ok(VMON, "commit", top)
        self.ok(["cmp"], raw, base)

    def test_backing_is_kept(self):
        """convert -B leaves out what the first layer of the source leaves
        out, as qemu-img does, also where a cluster is larger than that."""
        self.pattern("base", size=3 * MIB)
        for options, target in (("cluster_size=64k", "cluster_size=64k"),
                                ("cluster_size=4k", "cluster_size=64k"),
                                ("cluster_size=64k", "cluster_size=512")):
            self.ok(QEMU, "create", "-q", "-f", "qcow2", "-o", options, "-b",
                    "base", "-F", "raw", "top", "5M")
            for command in ("write -P 7 100k 30k", "write -z 1M 300k",
                            "write -P 8 5120 12288", "write -P 9 4M 70k"):
                self.ok(["qemu-io"], "-c", command, "top")
            size = {}
            for packed in ([], ["-c"]):
                for name, program in ("mine", VMON), ("theirs", QEMU):
                    self.ok(program, "convert", *packed, "-O", "qcow2", "-o",
                            target, "-B", "base", "-F", "raw", "top", name)
                    self.ok(QEMU, "check", "-q", name)
                    self.ok(QEMU, "compare", name, "top")
                    parts = json.loads(self.ok(
                        QEMU, "map", "--output=json", name))
                    size[name] = sum(p["length"] for p in parts
                                     if p["depth"] == 0 and p["data"])
                self.assertLessEqual(size["mine"], size["theirs"], options)

    def test_rebase(self):
        """The contents stay, whatever is below; with and without clusters of
        the same size, onto a shorter image, onto nothing."""
        base, other = self.pattern("base"), self.pattern("other", seed=2)
        self.pattern("short", size=3 * MIB, seed=3)
        top, raw = self.dir / "top", self.dir / "raw"
        for options in ("cluster_size=64k", "cluster_size=512",
                        "cluster_size=2M", "extended_l2=on"):
            self.ok(VMON, "create", "-q", "-f", "qcow2", "-o", options, "-b",
                    base, "-F", "raw", top)
            for command in ("write -P 7 100k 30k", "write -z 1M 300k",
                            "write -P 8 5120 12288"):
                self.ok(["qemu-io"], "-c", command, top)
            self.ok(QEMU, "convert", top, raw)
            for below, format in ((other, "raw"), ("short", "raw"), ("", "")):
                self.ok(VMON, "rebase", "-b", below, "-F", format, top)
                self.ok(QEMU, "check", "-q", top)
                self.ok(QEMU, "compare", "-F", "raw", top, raw)

    def test_snapshots(self):
        """Random writes, snapshots and ways back, by both programs in turn:
        what was there is there again, and the counts are right."""
        rng = random.Random(9)
        top, raw = self.dir / "top", self.dir / "raw"
        for options in ("cluster_size=64k", "cluster_size=512",
                        "extended_l2=on", "compat=0.10"):
            self.ok(VMON, "convert", "-f", "raw", "-c", "-O", "qcow2", "-o",
                    options, self.pattern("base", size=3 * MIB), top)
            have = {}
            for n in range(14):
                program = rng.choice((VMON, VMON, QEMU))
                what = rng.choice("ccwwad") if have else rng.choice("cw")
                name = rng.choice(list(have)) if have else ""
                if what == "w":
                    at, size = rng.randrange(5000), rng.randrange(1, 900)
                    self.ok(["qemu-io"], "-c", f"write -P {n} {at * 512} "
                            f"{size * 512}", top)
                elif what == "c":
                    self.ok(QEMU, "convert", top, raw)
                    have[f"s{n}"] = raw.read_bytes()
                    self.ok(program, "snapshot", "-c", f"s{n}", top)
                elif what == "a":
                    self.ok(program, "snapshot", "-a", name, top)
                    self.ok(QEMU, "convert", top, raw)
                    self.assertEqual(raw.read_bytes(), have[name])
                else:
                    self.ok(program, "snapshot", "-d", name, top)
                    del have[name]
                self.ok(QEMU, "check", "-q", top)
            for name in have:
                self.ok(QEMU, "convert", "-l", name, top, raw)
                self.assertEqual(raw.read_bytes(), have[name])

    def test_snapshot_refused(self):
        """A snapshot for which there is no room, or that cannot be counted,
        is one clear line, and the image is what it was."""
        def little_room():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            most = os.path.getsize(self.dir / "top") + 4096
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

        self.pattern("base", size=2 * MIB)
        for options, before, says in (
                ("cluster_size=512", little_room, "File too large"),
                ("refcount_bits=1", None, "refcount_bits=1$")):
            self.ok(VMON, "convert", "-f", "raw", "-O", "qcow2", "-o", options,
                    "base", "top")
            p = subprocess.run(VMON + ["snapshot", "-c", "s", "top"],
                               cwd=self.dir, preexec_fn=before, timeout=60,
                               capture_output=True, text=True)
            self.assertEqual(p.returncode, 1, p.stderr)
            self.assertEqual(p.stdout, "")
            self.assertRegex(p.stderr.strip(),
                             "^[^\\n]*Could not create snapshot 's'.*" + says)
            self.ok(QEMU, "check", "-q", "top")
            self.ok(QEMU, "compare", "-F", "raw", "top", "base")
            self.assertNotIn("Snapshot", self.ok(QEMU, "info", "top"))

    def test_dd(self):
        self.pattern("raw")
        for args in (["bs=1M", "count=3", "skip=2"], ["bs=12345", "count=7"], ["bs=4k", "count=70", "skip=7"],
                     ["skip=30000"], ["bs=1M", "skip=19"]):
            self.ok(VMON, "dd", "-f", "raw", "-O", "qcow2", "if=raw",
                    "of=mine", *args)
            self.ok(QEMU, "dd", "-f", "raw", "-O", "raw", "if=raw",
                    "of=theirs", *args)
            self.ok(QEMU, "compare", "-F", "raw", "mine", "theirs")

    def test_dd_tail(self):
        """A file that ends within a sector, its last part a buffer long."""
        raw = self.dir / "raw"
        raw.write_bytes(random.Random(4).randbytes(2 * MIB + 100))
        for skip in 0, 1, 2:
            for name, program in ("mine", VMON), ("theirs", QEMU):
                self.ok(program, "dd", "-f", "raw", "if=raw", f"of={name}",
                        "bs=100", f"skip={skip}")
            self.ok(["cmp"], self.dir / "mine", self.dir / "theirs")

    def test_below_itself(self):
        """By whatever name, it is not made of what lies below it."""
        self.pattern("raw", size=MIB)
        self.ok(VMON, "convert", "-f", "raw", "-O", "qcow2", "raw", "a")
        self.ok(VMON, "create", "-q", "-f", "qcow2", "-b", "a", "-F", "qcow2",
                "b")
        (self.dir / "link").symlink_to("a")
        os.link(self.dir / "a", self.dir / "hard")
        before = (self.dir / "a").read_bytes()
        for below, target in (("a", "link"), ("hard", "a"), ("b", "a"),
                              ("b", "link")):
            for words in (["create", "-f", "qcow2", "-b", below],
                          ["convert", "-f", "raw", "-O", "qcow2", "-B", below,
                           "raw"]):
                words += ["-F", "qcow2", target]
                r = run(VMON, self.dir, *words)
                self.assertEqual(r.returncode, 1, words)
                self.assertIn("same filename as the backing", r.stderr)
                self.assertEqual((self.dir / "a").read_bytes(), before)

    def test_several(self):
        """Images one behind the other, as cat does; with and without -C."""
        parts = [self.pattern(f"p{n}", size=size, seed=n) for n, size in
                 enumerate((3 * MIB, 1024, 70 * KIB, 5 * MIB + 1536))]
        self.ok(VMON, "convert", "-f", "raw", "-O", "qcow2", parts[3], "q")
        whole = b"".join(p.read_bytes() for p in parts)
        for words in (["raw"], ["raw", "-C"], ["qcow2"], ["qcow2", "-c"],
                      ["qcow2", "-W", "-m", "3"]):
            self.ok(VMON, "convert", "-f", "raw", "-O", *words, *parts, "all")
            self.ok(QEMU, "convert", "-f", words[0], "all", "raw")
            self.assertEqual((self.dir / "raw").read_bytes(), whole, words)
        self.ok(VMON, "convert", *parts[:3], "q", "all")
        self.assertEqual((self.dir / "all").read_bytes(), whole)

    def test_salvage(self):
        """What cannot be read is zero, the rest is what it was."""
        raw = self.pattern("raw", size=2 * MIB)
        self.ok(VMON, "convert", "-c", "-f", "raw", "-O", "qcow2", raw, "good")
        data = bytearray((self.dir / "good").read_bytes())
        l2 = struct.unpack_from(">Q", data, struct.unpack_from(
            ">Q", data, 40)[0])[0] & ((1 << 56) - 1)
        broken = []
        for n in range(32):
            entry = struct.unpack_from(">Q", data, l2 + n * 8)[0]
            if entry >> 62 & 1 and n % 3 == 0:
                at = entry & ((1 << 54) - 1)
                data[at:at + 64] = bytes([0xff]) * 64
                broken.append(n)
        self.assertTrue(broken)
        (self.dir / "bad").write_bytes(data)
        r = run(VMON, self.dir, "convert", "bad", "out")
        self.assertEqual(r.returncode, 1)
        self.assertIn("error while reading at byte", r.stderr)
        r = run(VMON, self.dir, "convert", "--salvage", "bad", "out")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(len(r.stderr.splitlines()), 128 * len(broken))
        self.assertIn("warning: error while reading offset", r.stderr)
        self.ok(QEMU, "convert", "--salvage", "-q", "bad", "theirs")
        self.ok(["cmp"], "out", "theirs")
        out, want = (self.dir / "out").read_bytes(), raw.read_bytes()
        for n in range(32):
            part = slice(n * 65536, (n + 1) * 65536)
            self.assertEqual(out[part],
                             bytes(65536) if n in broken else want[part])

    def test_cache(self):
        """Modes that go past the host's cache give the same."""
        raw = self.pattern("raw", size=3 * MIB)
        for mode in ("none", "directsync", "writethrough", "writeback",
                     "unsafe"):
            for words in (["-O", "raw"], ["-O", "qcow2"], ["-c", "-O", "qcow2"],
                          ["-O", "qcow2", "-o", "cluster_size=512"]):
                self.ok(VMON, "convert", "-t", mode, "-T", mode, "-f", "raw",
                        *words, raw, "out")
                self.ok(QEMU, "compare", "-f", "raw", raw, "out")

    def test_commit_deep(self):
        """Into any image of the chain: what is read through each image
        afterwards is what qemu-img leaves."""
        def chain(sizes):
            below = []
            for n, size in enumerate(sizes):
                self.ok(QEMU, "create", "-q", "-f", "qcow2", *below, f"i{n}",
                        size)
                below = ["-b", f"i{n}", "-F", "qcow2"]
            for n, command in ((0, "write -P 9 2M 3M"), (1, "write -P 1 0 1M"),
                               (2, "write -P 2 2M 1000k"),
                               (2, "write -z 3M 900k")):
                self.ok(["qemu-io"], "-c", command, f"i{n}")

        def contents():
            found = []
            for n in range(3):
                self.ok(QEMU, "check", "-q", f"i{n}")
                self.ok(QEMU, "convert", f"i{n}", "raw")
                found.append((self.dir / "raw").read_bytes())
            return found

        for sizes, *cases in (
                (("10M", "10M", "10M"), ["-d"], ["-b", "./i1"]),
                (("5M", "6M", "10M"), ["-b", "i0"]),
                (("10M", "5M", "10M"), ["-r", "1G"],
                 ["-b", self.dir / "i0", "-d"])):
            for words in cases:
                have = []
                for program in VMON, QEMU:
                    chain(sizes)
                    self.ok(program, "commit", *words, "i2")
                    have.append(contents())
                self.assertEqual(have[0], have[1], (sizes, words))

    def test_amend(self):
        """Versions and widths of counts in turn, by both programs, between
        writes; with a backing file and without."""
        rng = random.Random(13)
        self.pattern("base", size=3 * MIB)
        for backing in ([], ["-b", "base", "-F", "raw"]):
            for cluster in ("64k", "512"):
                self.ok(QEMU, "create", "-q", "-f", "qcow2", "-o",
                        f"cluster_size={cluster}", *backing, "top", "3M")
                version, bits = 3, 16
                for n in range(10):
                    at, size = rng.randrange(5000), rng.randrange(1, 900)
                    self.ok(["qemu-io"], "-c", rng.choice(
                        (f"write -P {n} {at * 512} {size * 512}",
                         f"write -z {at * 512} {size * 512}",
                         f"discard {at * 512} {size * 512}")), "top")
                    self.ok(QEMU, "convert", "top", "raw")
                    want = rng.choice((f"refcount_bits={1 << rng.randrange(7)}",
                                       "compat=1.1", "lazy_refcounts=on",
                                       "compat=0.10,refcount_bits=16",
                                       "lazy_refcounts=off"))
                    program = rng.choice((VMON, VMON, QEMU))
                    status = run(program, self.dir, "amend", "-o", want, "top")
                    if "compat" in want:
                        version = 3 if "1.1" in want else 2
                        self.assertEqual(status.returncode, 0, status.stderr)
                    if version == 3:
                        self.assertEqual(status.returncode, 0, status.stderr)
                        if "bits" in want:
                            bits = int(want.rsplit("=", 1)[1])
                    elif version == 2:
                        bits = 16
                    self.ok(QEMU, "check", "-q", "top")
                    self.ok(VMON, "check", "-q", "top")
                    self.ok(QEMU, "compare", "-F", "raw", "top", "raw")
                    data = json.loads(self.ok(QEMU, "info", "--output=json",
                                              "top"))["format-specific"]["data"]
                    self.assertEqual((data["compat"], data["refcount-bits"]),
                                     ("1.1" if version == 3 else "0.10", bits))

    def test_bitmaps(self):
        """Random changes of bitmaps by both programs in turn: none is lost,
        and clusters are counted right all the time."""
        rng = random.Random(12)
        for options in ("cluster_size=64k", "cluster_size=512",
                        "lazy_refcounts=on", "refcount_bits=64"):
            self.ok(QEMU, "create", "-q", "-f", "qcow2", "-o", options, "top",
                    "9M")
            names = {}
            for n in range(16):
                program = rng.choice((VMON, VMON, QEMU))
                what = rng.choice(("add", "add", "remove", "clear", "merge",
                                   "disable", "enable", "write", "take"))
                name = rng.choice(list(names)) if names else ""
                if what == "write":
                    self.ok(["qemu-io"], "-c", f"write -P {n} "
                            f"{rng.randrange(9000) * KIB} 70000", "top")
                elif what == "take":
                    self.ok(program, "snapshot", "-c", f"s{n}", "top")
                elif what == "add":
                    size = 512 << rng.randrange(10)
                    self.ok(program, "bitmap", "--add", "-g", size, "top",
                            f"b{n}")
                    names[f"b{n}"] = size
                elif name:
                    more = [rng.choice(list(names))] if what == "merge" else []
                    self.ok(program, "bitmap", f"--{what}", *more, "top", name)
                    if what == "remove":
                        del names[name]
                self.ok(QEMU, "check", "-q", "top")
                self.ok(VMON, "check", "-q", "top")
            info = self.ok(QEMU, "info", "--output=json", "top")
            self.assertEqual(json.loads(self.ok(VMON, "info", "--output=json",
                                                "top")), json.loads(info))
            have = json.loads(info)["format-specific"]["data"]
            self.assertEqual({b["name"]: b["granularity"]
                              for b in have.get("bitmaps", [])}, names)

    def test_bitmap_contents(self):
        """What QEMU has counted is there after all that vmon does."""
        self.ok(QEMU, "create", "-q", "-f", "qcow2", "top", "8M")
        for name in "one", "two":
            self.ok(VMON, "bitmap", "--add", "-g", "4k", "top", name)
            self.ok(["qemu-io"], "-c", "write -P 3 "
                    + {"one": "1M 12k", "two": "5M 8k"}[name], "top")
        self.ok(VMON, "bitmap", "--clear", "top", "two")
        self.ok(["qemu-io"], "-c", "write -P 4 6M 4k", "top")
        self.ok(VMON, "bitmap", "--add", "-g", "64k", "top", "sum",
                "--merge", "two")
        self.ok(VMON, "convert", "--bitmaps", "-O", "qcow2", "top", "copy")
        for image in "top", "copy":
            self.assertEqual(self.bits(image), {
                "one": (4096, {256, 257, 258, 1280, 1281, 1536}),
                "two": (4096, {1536}), "sum": (65536, {96})}, image)
        self.ok(VMON, "resize", "--shrink", "top", "5M")
        self.assertEqual(self.bits("top")["one"][1], {256, 257, 258})

    def test_bitmaps_full(self):
        """No room for a change: the bitmaps of before are there."""
        def no_room():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            most = os.path.getsize(self.dir / "top")
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

        self.ok(QEMU, "create", "-q", "-f", "qcow2", "top", "8M")
        self.ok(VMON, "bitmap", "--add", "-g", "4k", "top", "one")
        self.ok(["qemu-io"], "-c", "write 1M 12k", "top")
        before = self.bits("top")
        self.assertEqual(before, {"one": (4096, {256, 257, 258})})
        for words in (["bitmap", "--add", "top", "two"],
                      ["snapshot", "-c", "s", "top"],
                      ["amend", "-o", "refcount_bits=64", "top"],
                      ["resize", "--preallocation=full", "top", "10M"]):
            p = subprocess.run(VMON + words, cwd=self.dir, timeout=60,
                               preexec_fn=no_room, capture_output=True,
                               text=True)
            self.assertEqual(p.returncode, 1, words)
            self.assertEqual(len(p.stderr.splitlines()), 1, p.stderr)
            self.assertEqual(self.bits("top"), before, words)
            self.ok(QEMU, "check", "-q", "top")

    def bits(self, image):
        """{name: (granularity, set bits)}, read as the format says."""
        data = (self.dir / image).read_bytes()
        at = struct.unpack_from(">I", data, 100)[0]
        while True:
            kind, size = struct.unpack_from(">II", data, at)
            if kind in (0x23852875, 0):
                break
            at += 8 + (size + 7) // 8 * 8
        self.assertEqual(struct.unpack_from(">Q", data, 88)[0], 1)
        count, _, _, where = struct.unpack_from(">IIQQ", data, at + 8)
        found = {}
        for _ in range(count):
            table, entries, _, _, shift, length, extra = struct.unpack_from(
                ">QIIBBHI", data, where)
            name = data[where + 24:where + 24 + length].decode()
            self.assertEqual((entries, extra), (1, 0))
            entry = struct.unpack_from(">Q", data, table)[0]
            bits = data[entry:entry + 65536] if entry > 1 else b""
            found[name] = 1 << shift, {8 * n + b for n, v in enumerate(bits)
                                       for b in range(8) if v >> b & 1}
            where += (24 + length + 7) // 8 * 8
        return found

    def test_onto_itself(self):
        raw = self.pattern("raw", size=MIB)
        before = raw.read_bytes()
        r = run(VMON, self.dir, "convert", "-O", "qcow2", "raw", "raw")
        self.assertEqual(r.returncode, 1)
        self.assertIn("is used by another drive", r.stderr)
        self.assertEqual(raw.read_bytes(), before)

    def test_full(self):
        """A target that cannot grow: one line, status 1."""
        raw = self.pattern("raw", size=4 * MIB)
        r = subprocess.run(["sh", "-c", 'ulimit -f 2048; trap "" XFSZ; '
                            'exec "$0" img convert -O qcow2 -S 0 raw full',
                            VMON[0]], cwd=self.dir, text=True,
                           capture_output=True, timeout=60)
        self.assertEqual(r.returncode, 1, r.stderr)
        self.assertIn("error while writing at byte", r.stderr)


class Bad(Img):
    """What must be refused, in one line, and soon."""

    def image(self, name, *patches, size=None):
        path = self.dir / name
        self.ok(QEMU, "create", "-q", "-f", "qcow2", path, "1G")
        with open(path, "r+b") as f:
            for at, format, value in patches:
                f.seek(at)
                f.write(value if format is None
                        else struct.pack(">" + format, value))
            if size is not None:
                f.truncate(size)
        return path

    def overlay(self, name, backing, format):
        args = ["-F", format] if format else []
        self.ok(QEMU, "create", "-q", "-u", "-f", "qcow2", "-b", backing, *args,
                self.dir / name, "1M")

    def refused(self, name, text, command="convert"):
        args = {"convert": ["-O", "raw", name, "out"],
                "compare": [name, name]}.get(command, [name])
        with self.subTest((name, command)):
            r = subprocess.run(VMON + [command] + args, cwd=self.dir,
                               text=True, capture_output=True, timeout=20)
            self.assertIn(r.returncode, (1, 2), r.stderr)
            self.assertEqual(len(r.stderr.splitlines()), 1, r.stderr)
            self.assertIn(text, r.stderr)

    def test_headers(self):
        for name, patches, text in (
                ("version", [(4, "I", 9)], "version 9"),
                ("crypt", [(32, "I", 1)], "is encrypted"),
                ("datafile", [(72, "Q", 4)], "external file"),
                ("feature", [(72, "Q", 1 << 17)], "not supported"),
                ("clusters", [(20, "I", 40)], "2^40 bytes"),
                ("small", [(24, "Q", 1 << 50)], "too small"),
                ("large", [(24, "Q", 1 << 63)],
                 "bytes; up to 9223372036854710272 are supported"),
                ("l1", [(36, "I", 1 << 31)], "too large"),
                ("refs", [(96, "I", 7)], "refcounts of 2^7 bits")):
            self.image(name, *patches)
            for command in ("convert", "info", "check", "map", "resize"):
                if command != "resize":
                    self.refused(name, text, command)

    def test_truncated(self):
        for size in (4, 71, 100, 512, 65536, 3 * 65536):
            name = f"short{size}"
            self.image(name, size=size)
            r = subprocess.run(VMON + ["check", "-f", "qcow2", name],
                               cwd=self.dir, text=True, capture_output=True,
                               timeout=20)
            self.assertIn(r.returncode, (1, 2), (size, r.stderr))
        for size in 71, 100:
            self.refused(f"short{size}", f"header ends after {size} bytes")
        self.refused("short512", "beyond the end of the file")

    def test_tables(self):
        """L1 and L2 entries into nowhere, into tables, with odd offsets."""
        for n, entry in enumerate((1 << 40, 0x30000, 0x12345, 0x50001)):
            name = f"l1-{n}"
            self.image(name, (0x30000, "Q", entry | 1 << 63))
            for command in ("check", "map", "convert", "compare"):
                args = {"convert": [name, "out"],
                        "compare": [name, name]}.get(command, [name])
                r = subprocess.run(VMON + [command] + args, cwd=self.dir,
                                   text=True, capture_output=True, timeout=20)
                self.assertGreaterEqual(r.returncode, 0, (name, command))
                if command == "check":
                    self.assertIn(r.returncode, (1, 2), (name, r.stderr))

    def test_backing(self):
        (self.dir / "folder").mkdir()
        self.overlay("self", "self", "qcow2")
        self.overlay("loop1", "loop2", "qcow2")
        self.overlay("loop2", "loop1", "qcow2")
        self.overlay("lost", "nosuch", "raw")
        self.overlay("dir", "folder", "raw")
        self.overlay("other", "x", "vmdk")
        self.refused("self", "is a backing file of itself")
        self.refused("loop1", "is a backing file of itself")
        self.refused("lost", "nosuch': No such file")
        self.refused("dir", "is a directory")
        self.refused("other", "'vmdk' is not supported")
        # What it says of itself can be read all the same.
        for name in ("self", "loop1", "lost", "dir", "other"):
            self.ok(VMON, "info", name)

    def test_formats(self):
        for name, start in (("vhdx", b"vhdxfile"), ("vmdk", b"KDMV"),
                            ("vdi", bytes(64) + b"\x7f\x10\xda\xbe"),
                            ("luks", b"LUKS\xba\xbe")):
            (self.dir / name).write_bytes(start + bytes(4096))
            self.refused(name, f"format '{name}'")
            self.refused(name, "qemu-img convert", "info")
        self.refused("nosuch", "No such file")
        self.refused(".", "is a directory", "info")

    def test_noise(self):
        """Random bytes in header and tables: no crash, no hang."""
        rng = random.Random(5)
        source = self.pattern("raw", size=2 * MIB)
        self.ok(QEMU, "convert", "-f", "raw", "-O", "qcow2", source,
                self.dir / "good")
        good = (self.dir / "good").read_bytes()
        for n in range(40):
            data = bytearray(good)
            for _ in range(rng.randrange(1, 6)):
                area = rng.choice((8, 104, 0x10000, 0x20000, 0x30000, 0x40000))
                at = area + rng.randrange(200) if area > 104 else \
                    rng.randrange(area)
                data[at] = rng.randrange(256)
            (self.dir / "bad").write_bytes(data)
            for args in (["check", "bad"], ["convert", "bad", "out"],
                         ["check", "-q", "-r", "all", "bad"]):
                r = subprocess.run(VMON + args, cwd=self.dir, timeout=60,
                                   capture_output=True)
                self.assertIn(r.returncode, (0, 1, 2, 3, 63),
                              (n, args, r.stderr))


if __name__ == "__main__":
    if not shutil.which("qemu-img"):
        print("skipped: no qemu-img")
        sys.exit(77)
    unittest.main(verbosity=2)
