#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's kernels up to user land, with 1, 2 and 4 processors.

    test_kernels.py [CLASS...]    Cloud, Generic, I386, Memtest, Clock,
                                  Check, Torture, Xen; default: all
"""
import gzip
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest

import vm

# What a kernel says when something is wrong with it or the machine.
ALARMS = (r"BUG:|WARNING:|Call Trace|rcu:.*stall|soft lockup|hung task|"
          r"Oops|general protection|unchecked MSR|mce:.*Error|"
          r"irq \d+: nobody cared|Marking TSC unstable|clocksource: timekeep"
          r"ing watchdog|Kernel panic")


class Matrix:
    """One boot for each number of processors; alone and from a bzImage."""
    kind = None

    def boot(self, cpus, compressed):
        with vm.LinuxVm("-smp", cpus, "-device", "virtio-net-pci,netdev=n",
                        "-netdev", "user,id=n", kind=self.kind,
                        compressed=compressed, memory=512) as guest:
            seconds = guest.boot(400)
            print(f"{self.kind}, {cpus} processors"
                  f"{', bzImage' if compressed else ''}: user land after "
                  f"{seconds:.1f} s", file=sys.stderr)
            self.assertEqual(guest.run("nproc"), f"{cpus}\n")
            for cpu in range(cpus):
                self.assertEqual(
                    guest.run(f"taskset -c {cpu} sh -c 'sed -n "
                              "\"s/^processor.*: //p\" /proc/cpuinfo | "
                              f"sed -n {cpu + 1}p'"), f"{cpu}\n")
            # All of them at once, and time goes on while they work.
            guest.run("for i in $(seq 8); do dd if=/dev/zero bs=64k "
                      "count=40 2>/dev/null | sha256sum >/tmp/$i & done; "
                      "wait; [ $(cat /tmp/[1-8] | sort -u | wc -l) = 1 ]",
                      240)
            before = guest.run("cut -d' ' -f1 /proc/uptime")
            start = time.monotonic()
            after = guest.run("sleep 2; cut -d' ' -f1 /proc/uptime", 60)
            self.assertGreaterEqual(float(after) - float(before), 2)
            self.assertLess(float(after) - float(before),
                            time.monotonic() - start + 2)
            log = guest.run("dmesg", 60)
            self.assertEqual([line for line in log.split("\n")
                              if re.search(ALARMS, line)], [])
            self.assertIn("eth0", guest.run("ls /sys/class/net"))
            guest.send("poweroff -f\n")
            self.assertEqual(guest.wait(60), 0)

    def memory(self, mib, end, high):
        """RAM up to `end`, then the hole, then up to `high`."""
        with vm.LinuxVm(kind=self.kind, memory=mib, monitor=True) as guest:
            guest.boot(400)
            told = re.findall(r"mem (0x[0-9a-f]+)-(0x[0-9a-f]+)\] usable",
                              guest.run("dmesg | grep e820:", 60))
            told = [(int(a, 16), int(b, 16) + 1) for a, b in told]
            self.assertIn(end, [b for a, b in told])
            self.assertEqual(max(b for a, b in told), high or end)
            self.assertEqual(high > 0, (4 << 30, high) in told)
            total = int(re.search(r"\d+", guest.run(
                "grep MemTotal /proc/meminfo")).group())
            self.assertGreater(total >> 10, mib * 0.95 - 64)
            # The last page, read around the guest and through it.
            self.assertNotIn("Cannot access", guest.monitor(
                f"xp /2xg {(high or end) - 16}"))
            self.assertIn("Cannot access", guest.monitor(
                f"xp /xg {high or end}"))

    def test_memory(self):
        gib = 1 << 30
        self.memory(3 * 1024, 3 * gib, 0)
        self.memory(3584, 3 * gib, 4 * gib + 512 * (1 << 20))
        self.memory(5 * 1024, 3 * gib, 6 * gib)

    def test_1(self):
        self.boot(1, True)

    def test_2(self):
        self.boot(2, False)

    def test_4(self):
        self.boot(4, False)


class Cloud(Matrix, unittest.TestCase):
    kind = "cloud"

    def test_small_cache(self):
        """Room for a tenth of the code: regions of it come and go, linked
        to one another."""
        if vm.accel() != "tcg":
            self.skipTest("not tcg")
        with vm.LinuxVm(memory=512, accel="tcg,tb-size=3") as guest:
            guest.boot(400)
            told = guest.monitor("info jit")
            dropped = re.search(r"^TB regions dropped +(\d+)$", told, re.M)
            self.assertGreater(int(dropped.group(1)), 50)
            self.assertRegex(told, r"(?m)^TB flush count +0$")


class Generic(Matrix, unittest.TestCase):
    kind = "generic"


class I386(Matrix, unittest.TestCase):
    """Protected mode with PAE, from the first instruction to busybox."""
    kind = "i386"


class Check(unittest.TestCase):
    """A boot whose translated code is compared with the interpreter."""

    def boot(self, cpus, accel):
        if vm.accel() != "tcg":
            self.skipTest("not tcg")
        with vm.LinuxVm("-smp", cpus, memory=512, accel=accel) as guest:
            guest.boot(800)
            told = re.findall(r"check: (\d+) blocks judged, (\d+) left out, "
                              r"(\d+) differences",
                              guest.monitor("info kvm -v"))
            print(told, file=sys.stderr)
            self.assertEqual(len(told), cpus)
            for judged, _, bad in told:
                self.assertGreater(int(judged), 10000)
                self.assertEqual(bad, "0", guest.output()[:3000])
            self.jit_told(guest.monitor("info jit"))

    def test_one(self):
        self.boot(1, "tcg,check=100")

    def test_two(self):
        self.boot(2, "tcg,check=400")

    def jit_told(self, text):
        def number(pattern):
            return int(re.search(pattern, text, re.M).group(1))
        self.assertGreater(number(r"^TB count +(\d+)"), 1000)
        self.assertGreater(number(r"^TB avg target size +(\d+)"), 3)
        self.assertGreater(number(r"^entries +(\d+)"), 10000)
        self.assertGreater(number(r"^TLB fills +(\d+)"), 1000)
        calls = re.search(r"\nHandlers called most:\r?\n(.*?)"
                          r"(?:\r?\n\r?\n|\Z)", text, re.S)
        calls = [int(n) for n in re.findall(r" (\d+)\r?$", calls.group(1), re.M)]
        self.assertEqual(len(calls), 10)
        self.assertEqual(calls, sorted(calls, reverse=True))
        self.assertLessEqual(sum(calls), number(r"^handlers called +(\d+)"))


class Torture(unittest.TestCase):
    """A boot in which rare things of the engine are frequent."""

    def test_boot(self):
        if vm.accel() != "tcg":
            self.skipTest("not tcg")
        with vm.LinuxVm("-smp", 2, memory=512, accel="tcg,hot=8,torture="
                        "poll+drop+code+stop") as guest:
            guest.boot(400)
            self.assertIn("torture: seed", guest.output())
            sums = guest.run("for i in 1 2 3; do md5sum /bin/busybox & "
                             "done; wait", 120)
            self.assertEqual(len(set(sums.split("\n")[:3])), 1)
            log = guest.run("dmesg", 60)
            self.assertEqual([line for line in log.split("\n")
                              if re.search(ALARMS, line)], [])


class Clock(unittest.TestCase):
    """AMD models, which have no CPUID leaf for the TSC's frequency, on a host
    that is too busy to measure it."""

    LOAD = "while :; do :; done"

    def setUp(self):
        for _ in range(os.cpu_count()):
            p = subprocess.Popen(["sh", "-c", self.LOAD])
            self.addCleanup(p.wait)
            self.addCleanup(p.kill)

    def check_frequency(self, guest):
        lines = [line for line in guest.run("dmesg").split("\n")
                 if re.search(r"tsc: .* MHz", line)]
        print("\n".join(lines), file=sys.stderr)
        self.assertTrue(lines)
        for line in lines:
            mhz = float(re.search(r"([\d.]+) MHz", line).group(1))
            self.assertAlmostEqual(mhz, 1000, delta=10)

    def check_time(self, guest):
        """The date, and that a second is one."""
        before = time.time()
        date = int(guest.run("date +%s"))
        self.assertTrue(before - 2 <= date <= time.time() + 2, date)
        first = time.monotonic()
        begin = guest.run("cut -d' ' -f1 /proc/uptime")
        between = time.monotonic()
        guest.run("sleep 4")
        start = time.monotonic()
        end = guest.run("cut -d' ' -f1 /proc/uptime")
        took = float(end) - float(begin)
        self.assertLess(took, (time.monotonic() - first) * 1.01 + 0.02)
        self.assertGreater(took, (start - between) * 0.99 - 0.02)

    def boot(self, cpu, cpus, source):
        with vm.LinuxVm("-cpu", cpu, "-smp", cpus) as guest:
            guest.boot(400)
            self.check_frequency(guest)
            self.assertIn(source, guest.run(
                "cat /sys/devices/system/clocksource/clocksource0/"
                "available_clocksource"))
            self.check_time(guest)
            guest.send("poweroff -f\n")
            self.assertEqual(guest.wait(60), 0)

    def test_epyc(self):
        self.boot("EPYC", 2, "kvm-clock")

    def test_qemu64(self):
        self.boot("qemu64", 1, "kvm-clock")


class XenVm(vm.LinuxVm):
    """The same kernel and initramfs, but as Xen's first domain."""

    def __init__(self, xen, *args):
        kernel = vm.debian_kernel("generic")
        image, = kernel.glob("boot/vmlinuz-*")
        initrd = self._make(kernel, self.MODULES)
        vm.Vm.__init__(
            self, "-kernel", xen, "-initrd",
            f"{image} console=hvc0 quiet panic=-1,{initrd}",
            "-append", "console=com1 com1=115200,8n1 noreboot "
            "dom0_mem=512M", "-m", "1G", "-no-reboot", *args)


class Xen(unittest.TestCase):
    """Xen, by multiboot; its first domain runs without hardware's help."""

    def boot(self, cpus):
        package = vm.debian_package("xen-hypervisor-4.17-amd64")
        image, = package.glob("boot/xen-*-amd64.gz")
        with tempfile.NamedTemporaryFile() as xen:
            xen.write(gzip.decompress(image.read_bytes()))
            xen.flush()
            with XenVm(xen.name, "-smp", cpus) as guest:
                seconds = guest.boot(400)
                print(f"Xen, {cpus} processors: user land after "
                      f"{seconds:.1f} s", file=sys.stderr)
                self.assertEqual(guest.run("nproc", 60), f"{cpus}\n")
                self.assertEqual(guest.run("cat /sys/hypervisor/type", 60),
                                 "xen\n")
                guest.send("poweroff -f\n")
                self.assertEqual(guest.wait(60), 0)

    def test_one(self):
        self.boot(1)

    def test_two(self):
        self.boot(2)


class Installer(unittest.TestCase):
    """Debian's installer, as a network boot would start it."""

    def test_netboot(self):
        try:
            folder = vm.debian_package("debian-installer-12-netboot-amd64")
        except vm.Skip as e:
            self.skipTest(str(e))
        linux, = folder.glob("usr/lib/debian-installer/images/12/amd64/text/"
                             "debian-installer/amd64/linux")
        with vm.Vm("-m", "1G", "-nic", "user", "-kernel", linux, "-initrd",
                   linux.with_name("initrd.gz"), "-append",
                   "console=ttyS0 DEBIAN_FRONTEND=text") as guest:
            guest.expect("Select a language", 120)
            guest.expect("Prompt: ", 30)


class Memtest(unittest.TestCase):
    """memtest86+ through its first tests, #0 to #4.

    A fast host is through with a test between two updates of the screen,
    so that not every number need show."""

    def memtest(self, name):
        path = vm.debian_package("memtest86+") / "boot" / name
        with vm.Vm("-kernel", path, "-append", "console=ttyS0,115200",
                   "-m", 32) as guest:
            guest.expect(r"#([5-9]|\d\d) +\[", 600)
            counts = set(re.findall(r"Errors: +(\d+)", guest.serial.text()))
            self.assertEqual(counts, {"0"})

    def test_64_bits(self):
        self.memtest("memtest86+x64.bin")

    def test_32_bits(self):
        self.memtest("memtest86+ia32.bin")


if __name__ == "__main__":
    try:
        vm.program()
        vm.debian_kernel()
        if not sys.argv[1:] or "Generic" in sys.argv:
            vm.debian_kernel("generic")
        if not sys.argv[1:] or "I386" in sys.argv:
            vm.debian_i386()
        if not sys.argv[1:] or "Memtest" in sys.argv:
            vm.debian_package("memtest86+")
    except vm.Skip as e:
        print(f"skipped: {e}")
        sys.exit(77)
    unittest.main(verbosity=2)
