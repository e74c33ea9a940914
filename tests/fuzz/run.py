#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs one of the fuzzers, from the words of its language.

    run.py FUZZER gdb|hmp|qcow2|qmp|telnet

The corpus is made of the transcripts in tests/hmp and tests/qmp, and of small
qcow2 images.  FUZZ_SEED
(1) says what is tried, FUZZ_RUNS (3000) how often, FUZZ_SECONDS, if given,
how long instead.  What is found is printed, and kept in FUZZ_KEEP if that
names a folder.
"""
import base64
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

HERE = pathlib.Path(__file__).resolve().parent
SEED = os.environ.get("FUZZ_SEED", "1")
RUNS = os.environ.get("FUZZ_RUNS", "3000")
SECONDS = os.environ.get("FUZZ_SECONDS")
IAC = b"\xff"


def pieces(lines, size):
    for at in range(0, len(lines), size):
        yield lines[at:at + size]


def hmp():
    """Lines of the transcripts, by fives; the first byte: tests/fuzz/hmp.c."""
    for path in sorted((HERE.parent / "hmp").glob("*.t")):
        lines = [line[len("(qemu) "):] for line in path.read_text().splitlines()
                 if line.startswith("(qemu) ")]
        for n, some in enumerate(pieces(lines, 5)):
            text = "\n".join(some).replace("$TMP/", "").replace("$GUEST", "disk") + "\n"
            yield bytes([(63, 64, 191)[n % 3]]) + text.encode()
    for keys in (b"\x01\x05\x15\x0b\x19", b"info \t\t\x17qu\t\n", b"\x1b[A\x1b[B\x1b[C\x1b[D",
                 b"ab\x1b[1;5D\x1bOH\x1b[3~\x7f\x08\xc3\xa9\xe4\xb8\xad\n", b"p 1\n\x10\x0e\x0c\x14\n",
                 b"repeat 3 1ms p 1\nwatch 1ms p 1\n\x03", b"p 1; p 2 && p 3 # x\ninfo mtree | grep -v a | head 3 | count\n"):
        yield b"\x40" + keys


def qmp():
    for path in sorted((HERE.parent / "qmp").glob("*.q")):
        lines = [line[3:] for line in path.read_text().splitlines()
                 if line.startswith("-> ")]
        for some in pieces(lines, 3):
            text = "\n".join(some).replace("$TMP/", "").replace("$GUEST", "disk") + "\n"
            yield b"\x7f" + text.encode()
    yield b"\x10[[[[{'a':\"\\u0000\\ud800\"}]]],1e999,-0,null,\xff{"


def gdb():
    """Lines that tests/fuzz/gdb.c makes packets of."""
    for text in ("qSupported:multiprocess+;swbreak+;hwbreak+;vContSupported+\nvMustReplyEmpty\nHg0\n?\n"
                 "qXfer:features:read:target.xml:0,ffb\nqXfer:features:read:target.xml:ff,10",
                 "g\nGffff\np10\nP10=0102030405060708\np0\nP0=00\npff\nm0,10\nM0,4:90909090\nX0,1:}\x03\nm-1,ffff",
                 "Z0,1000,1\nZ1,1000,1\nZ2,0,4\nZ3,0,8\nZ4,7,ff\nz0,1000,1\nz2,0,4\nz9,0,0",
                 "vCont?\nvCont;s:p1.1;c\n\nvCont;r1000,2000:1\n\nc1000\n\ns\n\nC05",
                 "qfThreadInfo\nqsThreadInfo\nqThreadExtraInfo,p1.2\nT2\nHc-1\nqC\nqAttached:1\nD;1",
                 "qRcmd,696e666f20737461747573\nqRcmd,696e666f2063707573\nqqemu.sstepbits\nQqemu.sstep=7\nqqemu.sstep\nQqemu.PhyMemMode:1",
                 "QStartNoAckMode\nqXfer:threads:read::0,fff\nqTStatus\nk", "vKill;1\nR00\n!\nb\nj0"):
        yield b"\x7f" + text.encode()
    yield b"\x10+$g#67-++$m0,4#fd\x03$?#3f}}#$$##00"


def telnet():
    for text in (b"\xfd\x01\xfd\x03\xfb\x1f", b"\xfa\x1f\x00\x50\x00\x18\xff\xf0",
                 b"\xfd\x00\xfb\x00a\r\x00b\r\n", b"\xf3\xf4\xff\xf6", b"\xfe\x01\xfc\x03"):
        yield b"\x00" + b"".join(IAC + text[i:i + 2] for i in range(0, len(text), 2))


def qcow2():
    """Images of 512-byte clusters after 16 bytes: tests/fuzz/qcow2.c."""
    for version, order, flags in ((2, 4, 0), (3, 0, 0), (3, 4, 0), (3, 6, 1), (3, 4, 1)):
        bits = 9
        image = bytearray(8 << bits)
        entries = 64                     # of an L2 table
        head = struct.pack(">IIQIIQIIQQIIQ", 0x514649fb, version, 0, 0, bits, 2 * entries << bits,
                           0, 2, 3 << bits, 1 << bits, 1, 0, 0)
        if version == 3:
            head += struct.pack(">QQQII", 0, flags, 0, order, 104)
        image[:len(head)] = head
        struct.pack_into(">Q", image, 1 << bits, 2 << bits)
        for cluster in range(7):
            if order < 3:
                image[(2 << bits) + (cluster >> 3)] |= 1 << cluster % 8
            else:
                size = 1 << order - 3
                at = (2 << bits) + cluster * size
                image[at:at + size] = (1).to_bytes(size, "big")
        struct.pack_into(">Q", image, 3 << bits, 4 << bits | 1 << 63)
        struct.pack_into(">QQ", image, 4 << bits, 5 << bits | 1 << 63,
                         (6 << bits | 1 << 63) if version == 2 else (6 << bits | 1 << 63 | 1))
        yield bytes(range(1, 160, 10)) + bytes(image)
        packed = zlib.compressobj(wbits=-12)
        data = packed.compress(b"vmon" * 128) + packed.flush()
        image[6 << bits:(6 << bits) + len(data)] = data
        struct.pack_into(">Q", image, (4 << bits) + 8, 1 << 62 | 6 << bits)
        yield bytes(range(3, 131, 8)) + bytes(image)
        for how in range(4):
            yield bytes(range(11)) + bytes((how, how + 1, 2, 3, 0)) + bytes(image)
        if order == 4:
            yield bytes(range(7)) + bytes((1, 3, 5, 7, 1, 0, 2, 3, 0)) + snapshot(image, bits)
            if version == 3:
                yield bytes(range(11)) + bytes((2, 2, 0, 0, 0)) + bitmap(image, bits)


def snapshot(image, bits):
    """The same with one, of all that it has."""
    image = bytearray(image) + bytes(2 << bits)
    struct.pack_into(">IQ", image, 60, 1, 8 << bits)
    struct.pack_into(">QIHHIIQII", image, 8 << bits, 9 << bits, 2, 1, 1, 1, 2, 3, 0, 16)
    struct.pack_into(">QQ", image, (8 << bits) + 40, 0, 128 << bits)
    image[(8 << bits) + 56:(8 << bits) + 58] = b"1s"
    struct.pack_into(">Q", image, 9 << bits, 4 << bits)
    struct.pack_into(">Q", image, 3 << bits, 4 << bits)
    for entry in 0, 8:
        image[(4 << bits) + entry] &= 0x7f
    struct.pack_into(">10H", image, 2 << bits, 1, 1, 1, 1, 2, 2, 2, 0, 1, 1)
    return bytes(image)


def bitmap(image, bits):
    """The same with one, of which a bit is set."""
    image = bytearray(image) + bytes(3 << bits)
    struct.pack_into(">Q", image, 88, 1)
    struct.pack_into(">IIIIQQ", image, 104, 0x23852875, 24, 1, 0, 32, 8 << bits)
    struct.pack_into(">QIIBBHI2s", image, 8 << bits, 9 << bits, 1, 2, 1, 9, 2, 0, b"b0")
    struct.pack_into(">Q", image, 9 << bits, 10 << bits)
    image[10 << bits] = 4
    struct.pack_into(">4H", image, (2 << bits) + 14, 0, 1, 1, 1)
    return bytes(image)


def words(kind, corpus):
    """libFuzzer's dictionary: what the texts are made of, and the names of
    every command."""
    found = set()
    if kind == "telnet":
        found = {bytes([255, b]) for b in range(236, 256)}
    elif kind == "qcow2":
        found = {struct.pack(">Q", at << 9 | copied << 63) for at in range(12) for copied in (0, 1)}
        found |= {struct.pack(">I", n) for n in (0xe2792aca, 0x6803f857, 0x23852875, 1, 9, 16, 21)}
    else:
        for text in corpus:
            found.update(re.findall(rb"[A-Za-z][\w-]{2,31}", text))
        for table in ("commands", "info", "qmp", "absent"):
            path = HERE.parent.parent / "monitor" / (table + ".def")
            found.update(w.encode() for w in re.findall(r'"([\w|-]+)"', path.read_text()))
        found |= {b"\x1b[A", b"\x1b[1;5C", b"/999999x", b"$rip", b"0xffffffffffffffff", b"-j"}
    return "".join('"%s"\n' % "".join("\\x%02x" % c for c in w) for w in sorted(found) if w)


def main():
    fuzzer, kind = os.path.abspath(sys.argv[1]), sys.argv[2]
    corpus = list({"gdb": gdb, "hmp": hmp, "qcow2": qcow2, "qmp": qmp,
                   "telnet": telnet}[kind]())
    top = tempfile.mkdtemp(prefix="vmon-fuzz-")
    try:
        folders = {}
        for name in ("corpus", "found", "scratch"):
            folders[name] = os.path.join(top, name)
            os.mkdir(folders[name])
        for n, text in enumerate(corpus):
            with open(os.path.join(folders["corpus"], "%04d" % n), "wb") as f:
                f.write(text)
        with open(os.path.join(top, "words"), "w") as f:
            f.write(words(kind, corpus))
        limit = ["-max_total_time=" + SECONDS] if SECONDS else ["-runs=" + RUNS]
        # The reports go where stderr was, what vmon says does not.
        p = subprocess.run(
            [fuzzer, "-seed=" + SEED, *limit, "-timeout=60", "-rss_limit_mb=3000",
             "-max_len=%d" % (8192 if kind == "qcow2" else 4096), "-len_control=20", "-close_fd_mask=3", "-dict=" + os.path.join(top, "words"),
             "-artifact_prefix=" + folders["found"] + "/", folders["corpus"]],
            env=dict(os.environ, VMON_FUZZ_FOLDER=folders["scratch"]),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = p.stdout.decode(errors="replace").splitlines()
        done = [line for line in said if line.startswith("Done ")]
        print("\n".join(done if p.returncode == 0 else said[-80:]))
        for name in sorted(os.listdir(folders["found"])):
            with open(os.path.join(folders["found"], name), "rb") as f:
                text = f.read()
            print(name, repr(text), "base64:", base64.b64encode(text).decode())
            if os.environ.get("FUZZ_KEEP"):
                shutil.copy(os.path.join(folders["found"], name), os.environ["FUZZ_KEEP"])
        return 1 if p.returncode or not done else 0
    finally:
        shutil.rmtree(top, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
