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
