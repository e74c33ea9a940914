#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What people run in a guest, checked by itself, on 1, 2 and 4 processors.

    test_workloads.py [Workloads.test_NAME...]

A Debian image with compilers, interpreters and stress-ng is made in the cache
once (tools/debian-image).  Half an hour and more.
"""
import os
import subprocess
import sys
import tempfile
import time
import unittest

import vm

PACKAGES = ("perl", "gcc", "libc6-dev", "stress-ng", "nodejs", "openssl")
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


class Workloads(unittest.TestCase):
    def guest(self, cpus):
        sources = tempfile.NamedTemporaryFile(suffix=".tar")
        self.addCleanup(sources.close)
        subprocess.run(["tar", "-cf", sources.name, "-C", vm.ROOT, "lib",
                        "tcg", "vmm"], check=True)
        os.truncate(sources.name, -(-os.path.getsize(sources.name) // 512)
                    * 512)
        image = vm.debian_image("workloads", PACKAGES)
        guest = vm.DebianVm(
            image / "disk.raw", "-smp", cpus, "-snapshot", "-drive",
            f"file={sources.name},format=raw,if=none,id=src,readonly=on",
            "-device", "virtio-blk-pci,drive=src", memory=2048,
            image=image).start()
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


if __name__ == "__main__":
    try:
        vm.program()
        vm.debian_image("workloads", PACKAGES)
    except vm.Skip as e:
        print(f"skipped: {e}")
        sys.exit(77)
    unittest.main(verbosity=2)
