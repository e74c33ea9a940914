#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vmon run: the command line that it writes, and a machine started by it."""
import os
import pathlib
import pty
import re
import select
import shlex
import subprocess
import tempfile
import time
import unittest

import vm

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE me@here\n"

# arguments, what the one line on stderr says
WRONG = [
    (["--foo", "{dir}/raw"], "unknown option '--foo'"),
    (["--memoryx", "{dir}/raw"], "unknown option '--memoryx'"),
    (["-z"], "unknown option '-z'"),
    ([], "an image is missing"),
    (["{dir}/raw", "{dir}/raw"], "one image at a time"),
    (["{dir}/none"], "could not open '{dir}/none': No such file"),
    (["{dir}"], "'{dir}' is a directory"),
    (["{dir}/raw", "--memory"], "--memory needs SIZE"),
    (["{dir}/raw", "--write=1"], "--write takes no value"),
    (["{dir}/raw", "-p", "80"], "--publish '80' is not [ADDRESS:]PORT"),
    (["{dir}/raw", "-p", "0:80"], "--publish '0:80'"),
    (["{dir}/raw", "-p", "80:80/sctp"], "--publish '80:80/sctp'"),
    (["{dir}/raw", "--ssh-port", "x"], "--ssh-port 'x'"),
    (["{dir}/raw", "--ssh-key", "{dir}/none"], "could not read '{dir}/none'"),
    (["{dir}/raw", "-m", "1Q"], "-m 1Q"),
    (["{dir}/raw", "--", "-nosuch"], "-nosuch"),
    (["{dir}/raw", "--wait", "login"], "--wait goes with --detach"),
    (["{dir}/raw", "--timeout", "1"], "--timeout goes with --detach"),
    (["{dir}/raw", "-d", "-n", "a/b"], "--detach needs a --name without '/'"),
]


class Run(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix="vmon-run-")
        self.addCleanup(tmp.cleanup)
        self.dir = pathlib.Path(tmp.name)
        (self.dir / "raw").write_bytes(bytes(1 << 20))
        (self.dir / "my image.qcow2").write_bytes(b"QFI\xfb" + bytes(1 << 20))
        self.env = dict(os.environ, HOME=tmp.name, XDG_RUNTIME_DIR=tmp.name)

    def run_vmon(self, *args):
        return subprocess.run([vm.program(), "run", *map(str, args)],
                              stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60 * vm.SLOW, env=self.env,
                              check=False)

    def words(self, *args):
        """Of --dry-run; the free port becomes PORT."""
        r = self.run_vmon("--dry-run", *args)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(r.stdout.count("\n"), 1)
        port = re.fullmatch(r"vmon: ssh: port (\d+) of 127\.0\.0\.1 leads to "
                            r"the guest\n", r.stderr).group(1)
        return [w.replace(f":{port}-", ":PORT-") for w in shlex.split(r.stdout)]

    def test_defaults(self):
        self.assertEqual(self.words(self.dir / "raw"), [
            "vmon", "-name", "raw", "-nographic", "-m", "2G", "-smp", "2",
            "-drive", f"file={self.dir}/raw,format=raw,if=virtio,snapshot=on",
            "-cloud-init", "", "-nic", "user,hostfwd=tcp:127.0.0.1:PORT-:22",
            "-device", "virtio-rng-pci"])

    def test_all(self):
        (self.dir / ".ssh").mkdir()
        (self.dir / ".ssh" / "id_rsa.pub").write_text(KEY)
        words = self.words(
            "-m", "512M", "--cpus=3", "-nweb", "-p", "8080:80", "--publish",
            "0.0.0.0:53:5353/udp", "--password", "it's, you", "--write",
            self.dir / "my image.qcow2", "--", "-S", "-monitor", "pty")
        self.assertEqual(words, [
            "vmon", "-name", "web", "-nographic", "-m", "512M", "-smp", "3",
            "-drive",
            f"file={self.dir}/my image.qcow2,if=virtio,discard=unmap",
            "-cloud-init", "hostname=web,password=it's,, you", "-nic",
            "user,hostfwd=tcp:127.0.0.1:PORT-:22,"
            "hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=udp:0.0.0.0:53-:5353",
            "-device", "virtio-rng-pci", "-S", "-monitor", "pty"])
        words = self.words(self.dir / "raw")
        self.assertIn(f"ssh-key={self.dir}/.ssh/id_rsa.pub", words)

    def test_wrong(self):
        for args, want in WRONG:
            with self.subTest(args=args):
                r = self.run_vmon(*[a.format(dir=self.dir) for a in args])
                self.assertEqual(r.returncode, 1)
                lines = [line for line in r.stderr.splitlines()
                         if " leads to the guest" not in line]
                self.assertEqual(len(lines), 1, r.stderr)
                self.assertIn(want.format(dir=self.dir), lines[0])

    def test_machine(self):
        process = subprocess.Popen(
            [vm.program(), "run", "--name", "box", self.dir / "raw", "--",
             "-S"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=self.env)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)

        def ctl(*command):
            return subprocess.run([vm.program(), "ctl", "box", *command],
                                  capture_output=True, text=True, check=False,
                                  timeout=60 * vm.SLOW, env=self.env)
        end = time.monotonic() + 60 * vm.SLOW
        while (r := ctl("info", "status")).returncode == 2:
            self.assertLess(time.monotonic(), end)
            self.assertIsNone(process.poll())
            time.sleep(0.05)
        self.assertIn("VM status: paused", r.stdout)
        self.assertRegex(ctl("info", "block").stdout,
                         r"(?s)virtio0 .*seed .*raw, read-only")
        self.assertEqual(ctl("quit").returncode, 0)
        self.assertEqual(process.wait(60 * vm.SLOW), 0)

    def make_bootable(self):
        """A boot sector that says "hi!" by INT 10h and halts."""
        code = b"".join(bytes((0xb8, c, 0x0e, 0xcd, 0x10)) for c in b"hi!\r\n")
        code += b"\xf4\xeb\xfd"
        with open(self.dir / "raw", "r+b") as f:
            f.write(code.ljust(510, b"\0") + b"\x55\xaa")

    def verb(self, *args, **kwargs):
        return subprocess.run([vm.program(), *map(str, args)],
                              capture_output=True, text=True, check=False,
                              timeout=60 * vm.SLOW, env=self.env, **kwargs)

    def console(self, want=b"hi!"):
        """What `vmon console` shows on a terminal until C-] ends it."""
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        p = subprocess.Popen([vm.program(), "console", "box"], stdin=slave,
                             stdout=slave, stderr=slave, env=self.env)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        os.close(slave)
        text = b""
        end = time.monotonic() + 60 * vm.SLOW
        while want not in text:
            self.assertTrue(select.select(
                [master], [], [], max(0, end - time.monotonic()))[0], text)
            text += os.read(master, 4096)
        os.write(master, b"\x1d")
        self.assertEqual(p.wait(60 * vm.SLOW), 0)

    def wait_ended(self):
        end = time.monotonic() + 60 * vm.SLOW
        console = self.dir / "vmon" / "console.box"
        while self.verb("list").stdout or console.exists():
            self.assertLess(time.monotonic(), end)

    def test_detached(self):
        self.make_bootable()
        (self.dir / "ssh").write_text("#!/bin/sh\necho \"$@\"\n")
        (self.dir / "ssh").chmod(0o755)
        self.env["PATH"] = f"{self.dir}:{self.env['PATH']}"
        r = self.run_vmon("-d", "-n", "box", self.dir / "raw")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.addCleanup(self.verb, "ctl", "box", "quit")
        port = re.search(r"port (\d+)", r.stderr).group(1)
        self.assertRegex(self.verb("list").stdout, r"(?m)^\d+ +running +box$")
        self.assertIn('"name": "box"', self.verb("list", "--json").stdout)
        r = self.run_vmon("-d", "-n", "box", self.dir / "raw")
        self.assertEqual(r.returncode, 1)
        self.assertIn("a machine 'box' is running", r.stderr)
        self.console()
        self.console()  # it begins with the log
        r = self.verb("ssh", "me@box", "ls", "-l")
        self.assertEqual(r.stdout, f"-p {port} -o UserKnownHostsFile=/dev/null "
                         "-o StrictHostKeyChecking=no -o LogLevel=ERROR "
                         "me@127.0.0.1 ls -l\n")
        r = self.verb("stop", "--timeout", "0.5", "box")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertIn("'box' has not powered off in 0.5 s", r.stderr)
        self.wait_ended()
        for args in ["console", "box"], ["ssh", "box"], ["stop", "box"]:
            r = self.verb(*args)
            self.assertEqual(r.returncode, 2, args)
            self.assertIn("no machine 'box'", r.stderr)
        for args in ["console"], ["ssh"], ["stop"], ["list", "x"]:
            r = self.verb(*args)
            self.assertEqual(r.returncode, 1, args)
            self.assertIn("usage: vmon", r.stderr)

    def test_no_loader(self):
        """The disk for cloud-init is none that boots, either."""
        r = self.run_vmon("-d", "-n", "box", self.dir / "raw")
        self.addCleanup(self.verb, "ctl", "box", "quit")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.console(b"No bootable device")
        end = time.monotonic() + 60 * vm.SLOW
        while not re.search(r"CPU #0: .*\(halted\)", self.verb(
                "ctl", "box", "info", "cpus").stdout):
            self.assertLess(time.monotonic(), end)

    def test_wait(self):
        self.make_bootable()
        r = self.run_vmon("-d", "-n", "box", "--wait", "running",
                          self.dir / "raw")
        self.addCleanup(self.verb, "ctl", "box", "quit")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.console()
        self.verb("ctl", "box", "quit")
        self.wait_ended()
        r = self.run_vmon("-d", "-n", "box", "--wait", "login", "--timeout",
                          "3", self.dir / "raw")
        self.assertEqual(r.returncode, 6, r.stderr)
        self.assertIn("'box' has not come to 'login'", r.stderr)
        self.assertIn("hi!", r.stderr)

    def test_quit(self):
        """It answers before it goes."""
        for _ in range(20):
            self.test_machine()


if __name__ == "__main__":
    unittest.main(verbosity=2)
