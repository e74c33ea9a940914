#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What people run in a guest, checked by itself, on 1, 2 and 4 processors.

    test_workloads.py [Workloads.test_NAME...]

A Debian image with compilers, interpreters, their tests and stress-ng is made
in the cache once (tools/debian-image).  An hour and more.
"""
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import vm

PACKAGES = ("perl", "gcc", "libc6-dev", "stress-ng", "nodejs", "openssl",
            "python3")
STRESS = ("cpu 2 --cpu-method all", "vm 2 --vm-bytes 64M", "matrix 2",
          "atomic 4", "x86syscall 2")
COMPILE = ("mkdir -p /root/{0}; cd /w; for f in tcg/[a-c]*.c tcg/[e-m]*.c; do "
           "gcc -D_GNU_SOURCE -DVMON_VERSION='\"0\"' -std=gnu11 -O2 "
           "-fno-strict-aliasing -I. -c $f -o /root/{0}/${{f#tcg/}}.o || "
           "exit 1; done; cd /root/{0}; cat *.o | sha256sum")
NODE = ("const s = []; for (let i = 0; i < 2e6; i++) s.push((i * 7919) % 65537);"
        " s.sort((a, b) => a - b); console.log(require('crypto').createHash("
        "'sha256').update(s.join()).digest('hex'))")
PERL = ("my %h; $h{$_ % 9973} .= chr(65 + $_ % 26) for 1 .. 1000000; my $n = 0;"
        " for (sort { $a <=> $b } keys %h) { $n += length if $h{$_} =~ /"
        "^(\\w)(\\w+)\\1*$/ } print qq($n\\n)")
# Of Python's own tests those that compute, signal, fork and wait.
PYTHON = ("array asyncio binascii bz2 cmath complex ctypes decimal deque dict "
          "float fractions hashlib heapq hmac int itertools json long lzma math "
          "memoryview mmap pickle queue random re set signal sort statistics "
          "strtod struct subprocess thread threading time tokenize unicode "
          "zlib")
PI = ("use Math::BigInt; my ($n, $u) = (1500, Math::BigInt->new(10)**1520);"
      "sub arc { my $x = shift; my ($s, $t, $k) = (Math::BigInt->new(0), "
      "$u / $x, 1); while ($t != 0) { $s += $k % 4 == 1 ? $t / $k : -($t / $k);"
      " $t /= $x * $x; $k += 2 } $s } my $pi = 16 * arc(5) - 4 * arc(239); "
      "print substr($pi, 0, $n), qq(\\n)")
TEXT = ("my ($x, @w) = (1); for (1 .. 60000) { $x = ($x * 16807) % 2147483647; "
        "push @w, join q(), map { chr 97 + ($x >> $_) % 26 } 0 .. $x % 9 } "
        "my %n; $n{$_}++ for @w; my $t = join q( ), sort keys %n; "
        "print length $t, q( ), unpack(q(%32C*), $t), q( ), "
        "scalar(() = $t =~ /\\b(\\w)\\w*\\1\\b/g), q( ), $t =~ tr/a-m//, "
        "q( ), sprintf(q(%.15g %a), sqrt $x, atan2($x, 3)), qq(\\n)")
# Known by the host: it does the same.
SAME = {
    "perl, pi": f"perl -e '{PI}'",
    "perl, words": f"perl -e '{TEXT}'",
    **{f"openssl, {name.split(' -K')[0]}": f"seq 200000 | openssl {name}" for name in (
        "dgst -md5", "dgst -sha1", "dgst -sha256", "dgst -sha512",
        "dgst -sha3-256", "dgst -blake2b512", "dgst -sm3",
        "dgst -sha256 -hmac key",
        *(f"enc -{c} -K {'3' * 64} -iv {'4' * 32} | sha256sum"
          for c in ("aes-256-cbc", "aes-256-ctr", "chacha20",
                    "camellia-256-cbc", "aria-256-ctr")))},
}


@functools.lru_cache
def packages():
    """With Python's tests, whose package has Python's version in its name."""
    r = subprocess.run(["apt-cache", "search", "--names-only",
                        r"^libpython3\.[0-9]+-testsuite$"], text=True,
                       capture_output=True, check=False)
    return PACKAGES + tuple(r.stdout.split()[:1])


def image():
    names = hashlib.sha256(" ".join(packages()).encode()).hexdigest()[:8]
    return vm.debian_image(f"workloads-{names}", packages())


class Workloads(unittest.TestCase):
    def guest(self, cpus, files=()):
        sources = tempfile.NamedTemporaryFile(suffix=".tar")
        self.addCleanup(sources.close)
        subprocess.run(["tar", "-cf", sources.name, "-C", vm.ROOT, "lib",
                        "tcg", "vmm", *files], check=True)
        os.truncate(sources.name, -(-os.path.getsize(sources.name) // 512)
                    * 512)
        guest = vm.DebianVm(
            image() / "disk.raw", "-smp", cpus, "-snapshot", "-drive",
            f"file={sources.name},format=raw,if=none,id=src,readonly=on",
            "-device", "virtio-blk-pci,drive=src", memory=2048,
            image=image()).start()
        self.addCleanup(guest.stop)
        guest.login()
        guest.run("mkdir /w; tar -xf /dev/vdb -C /w", 120)
        return guest

    def timed(self, guest, what, command, timeout):
        start, cpu = time.monotonic(), guest.usage()[1]
        text = guest.run(f"({command}) 2>&1", timeout)
        print(f"{what}: {time.monotonic() - start:.1f} s, processor "
              f"{guest.usage()[1] - cpu:.1f} s", file=sys.stderr)
        return text

    def stress(self, cpus):
        guest = self.guest(cpus)
        for row in STRESS:
            self.timed(guest, f"stress-ng {row}",
                       f"stress-ng --verify -t 8 --{row}", 300)

    def test_stress_1(self):
        self.stress(1)

    def test_stress_2(self):
        self.stress(2)

    def test_stress_4(self):
        self.stress(4)

    def test_compiler(self):
        """The same sources twice give the same."""
        guest = self.guest(1)
        sums = {self.timed(guest, "gcc", COMPILE.format(i), 1200)
                for i in range(2)}
        self.assertEqual(len(sums), 1, sums)

    def test_node_perl_openssl(self):
        """What is computed three times is the same."""
        guest = self.guest(2)
        for what, command in (("node", f'node -e "{NODE}"'),
                              ("perl", f"perl -e '{PERL}'")):
            texts = {self.timed(guest, what, command, 300) for _ in range(3)}
            self.assertEqual(len(texts), 1, texts)
        for name in ("sha256", "-evp aes-256-gcm", "-evp chacha20-poly1305",
                     "rsa2048", "ecdsap256"):
            self.timed(guest, f"openssl {name}",
                       f"openssl speed -seconds 1 {name}", 200)

    def test_same(self):
        """What the host does gives the same in the guest."""
        guest = self.guest(1)
        for what, command in SAME.items():
            r = subprocess.run(["bash", "-c", f"({command}) 2>&1"], text=True,
                               stdin=subprocess.DEVNULL, check=False,
                               stdout=subprocess.PIPE)
            if r.returncode:
                print(f"{what}: not on this host", file=sys.stderr)
                continue
            self.assertEqual(self.timed(guest, what, command, 300), r.stdout)

    def test_libc(self):
        """libm, conversions and strings, by the host's libc."""
        with tempfile.TemporaryDirectory() as folder:
            if not shutil.which("gcc"):
                self.skipTest("no gcc")
            subprocess.run(["gcc", "-O2", "-fno-builtin", "-static", "-o",
                            f"{folder}/libc", vm.HERE / "libc.c", "-lm"],
                           check=True)
            # The forms for AVX512 are not offered to the guest.
            want = subprocess.run(
                [f"{folder}/libc"], text=True, check=True,
                stdout=subprocess.PIPE, env={"GLIBC_TUNABLES":
                    "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW"}).stdout
            guest = self.guest(1, ["-C", folder, "libc"])
            self.assertEqual(self.timed(guest, "libc", "/w/libc", 600), want)

    def test_python(self):
        guest = self.guest(2)
        # One wants /etc/services.
        text = self.timed(guest, "python", "cd /tmp; python3 -m test -j 2 "
                          "-i test_create_connection_service_name "
                          + " ".join(f"test_{n}" for n in PYTHON.split()),
                          2400)
        self.assertIn("Result: SUCCESS", text)
        print(text[-300:], file=sys.stderr)


if __name__ == "__main__":
    try:
        vm.program()
        image()
    except vm.Skip as e:
        print(f"skipped: {e}")
        sys.exit(77)
    unittest.main(verbosity=2)
