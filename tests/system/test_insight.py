#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the monitor says of a Linux guest, compared with what the guest says."""
import json
import re
import unittest

import vm


class Insight(unittest.TestCase):
    def ask(self, guest, line):
        text = guest.monitor(line + " -j").strip().splitlines()
        return json.loads(text[-1])

    def test_running(self):
        with vm.LinuxVm("-smp", 2, memory=512, monitor=True) as guest:
            guest.boot(400)
            self.symbols(guest)
            self.tasks(guest)
            self.dmesg(guest)
            self.boot(guest)
            self.backtrace(guest)
            guest.send("poweroff -f\n")
            self.assertEqual(guest.wait(60), 0)

    def symbols(self, guest):
        self.assertEqual(self.ask(guest, "info symbols")["release"],
                         guest.run("uname -r").strip())
        said = guest.run("grep -v '\\[' /proc/kallsyms | "
                         "grep ' [a-zA-Z] .*schedule_t'").split("\n")
        said = {tuple(l.split()) for l in said if l}
        found = self.ask(guest, "info symbols schedule_t")
        self.assertGreater(len(said), 5)
        self.assertFalse(found["more"])
        self.assertEqual({(s["address"][2:], s["type"], s["name"])
                          for s in found["symbols"]}, said)
        address = {s["name"]: s["address"] for s in found["symbols"]}
        self.assertIn("schedule_timeout+0x10", guest.monitor(
            f"info symbols {int(address['schedule_timeout'], 16) + 16:#x}"))
        self.assertIn("<schedule_timeout>:\n0x" +
                      address["schedule_timeout"][2:],
                      guest.monitor("x/2i schedule_timeout")
                      .replace("\r", ""))

    def tasks(self, guest):
        said = guest.run("for i in /proc/[0-9]*; do cat $i/stat; done "
                         "2>/dev/null", 60)
        said = dict(re.findall(r"^(\d+) \((.*)\) ", said, re.M))
        tasks = self.ask(guest, "info tasks")
        self.assertEqual(tasks["stopped"], "")
        found = {str(t["pid"]): t for t in tasks["tasks"]}
        # The two were not asked at the same moment.
        same = [p for p, comm in said.items() if p in found and
                (found[p]["comm"] == comm or "worker" in comm)]
        self.assertGreater(len(same), len(said) - 6)
        self.assertEqual(found["1"]["comm"], said["1"])
        self.assertFalse(found["1"]["kernel"])
        self.assertTrue(found["2"]["kernel"])
        self.assertEqual(found["2"]["comm"], "kthreadd")
        self.assertEqual({t["ppid"] for t in found.values() if t["kernel"]},
                         {0, 2})

    def dmesg(self, guest):
        guest.run("echo vmon was here > /dev/kmsg")
        said = [l for l in guest.run("dmesg", 60).split("\n") if l]
        found = guest.monitor("info dmesg").replace("\r", "").split("\n")
        found = [l for l in found if l.startswith("[")]
        self.assertGreater(len(said), 100)
        self.assertIn("vmon was here", found[-1])
        self.assertEqual([l.strip() for l in found],
                         [l.strip() for l in said])

    def boot(self, guest):
        took = guest.times["vmon-guest: ready\r*\n"]
        said = self.ask(guest, "info boot")
        when = {e["event"]: e["seconds"] for e in said}
        self.assertEqual([e["seconds"] for e in said],
                         sorted(e["seconds"] for e in said))
        for early, late in (("start", "built"), ("built", "entry"),
                            ("entry", "init"), ("entry", "output")):
            self.assertLess(when[early], when[late])
        self.assertLess(when["output"], took)
        self.assertLess(when["init"], took)
        self.assertNotIn("login", when)
        self.assertEqual([e["program"] for e in said if e["event"] == "init"],
                         ["/init"])
        guest.run("echo; echo 'vmon login: '")
        self.assertRegex(guest.monitor("info boot"),
                         r"\n +\d+\.\d{3} s  login prompt on \w+\r?\n")

    def backtrace(self, guest):
        for _ in range(300):  # a kworker may run just now
            stacks = [[f.get("name") for f in cpu["frames"]]
                      for cpu in self.ask(guest, "info backtrace -a")]
            if all("do_idle" in names for names in stacks):
                break
        for names in stacks:
            self.assertIn("do_idle", names)
            self.assertRegex(names[-1], "secondary_startup_64")
        guest.run("dd if=/dev/zero of=/dev/null bs=16M & true")
        seen = set()
        for _ in range(300):
            for cpu in self.ask(guest, "info backtrace -a"):
                names = [f.get("name") for f in cpu["frames"]]
                if "ksys_read" in names or "vfs_read" in names:
                    self.assertNotIn("do_idle", names)
                    seen.add(names[-1])
            if seen:
                break
        self.assertTrue(seen, "dd was never seen in read()")
        for name in seen:
            self.assertIn("entry_SYSCALL_64", name)

    def test_dead(self):
        with vm.LinuxVm("-no-reboot", "-no-shutdown", memory=256,
                        monitor=True) as guest:
            guest.boot(400)
            guest.monitor("info symbols")
            guest.send("echo c > /proc/sysrq-trigger\n")
            guest.expect("Kernel panic", 60)
            for _ in range(100):
                if "paused" in guest.monitor("info status"):
                    break
            log = guest.monitor("info dmesg")
            self.assertIn("Kernel panic - not syncing", log)
            self.assertIn("sysrq: Trigger a crash", log)
            tasks = self.ask(guest, "info tasks")["tasks"]
            self.assertIn("init", {t["comm"] for t in tasks})


if __name__ == "__main__":
    unittest.main()
