#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""vmon run: the command line that it writes, and a machine started by it."""
import base64
import json
import os
import pathlib
import pty
import re
import select
import shlex
import signal
import socket
import subprocess
import tempfile
import time
import unittest

import vm

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE me@here\n"

# arguments, what the one line on stderr says; USAGE: status 1, START: 2
USAGE = [
    (["--foo", "{dir}/raw"], "unknown option '--foo'"),
    (["--memoryx", "{dir}/raw"], "unknown option '--memoryx'"),
    (["-z"], "unknown option '-z'"),
    ([], "an image is missing"),
    (["{dir}/raw", "{dir}/raw"], "one image at a time"),
    (["{dir}/raw", "--memory"], "--memory needs SIZE"),
    (["{dir}/raw", "--write=1"], "--write takes no value"),
    (["{dir}/raw", "-p", "80"], "--publish '80' is not [ADDRESS:]PORT"),
    (["{dir}/raw", "-p", "0:80"], "--publish '0:80'"),
    (["{dir}/raw", "-p", "80:80/sctp"], "--publish '80:80/sctp'"),
    (["{dir}/raw", "--ssh-port", "x"], "--ssh-port 'x'"),
    (["{dir}/raw", "-m", "1Q"], "-m 1Q"),
    (["{dir}/raw", "--", "-nosuch"], "-nosuch"),
    (["{dir}/raw", "--wait", "login"], "--wait goes with --detach"),
    (["{dir}/raw", "--timeout", "1"], "--timeout goes with --wait"),
    (["{dir}/raw", "--timing"], "--timing goes with --wait"),
    (["{dir}/raw", "-d", "--wait", "x"], "--wait 'x' is none of boot, login"),
    (["{dir}/raw", "-d", "--wait", "text=("], "--wait 'text=(': Unmatched"),
    (["{dir}/raw", "-d", "--wait", "login", "--timeout", "0"],
     "--timeout '0' is no number of seconds"),
    (["{dir}/raw", "-d", "-n", "a/b"], "--name 'a/b' has other characters"),
    (["{dir}/raw", "-n", "4711"], "--name '4711' has other characters"),
    (["{dir}/raw", "--size", "x"], "--size 'x' is no size such as 20G"),
    (["{dir}/raw", "--size", "1K"],
     "--size 1K is less than '{dir}/raw' has: 1 MiB (1048576)"),
    (["{dir}/raw", "--size", "1G", "--write"], "--size goes with --disk"),
    (["{dir}/raw", "--disk", "a", "--write"], "one of --disk, --ephemeral"),
    (["{dir}/raw", "--disk", ".a"], "--disk '.a' is no name"),
    (["{dir}/raw", "--service", "--wait", "login"], "--wait goes with --de"),
    (["{dir}/raw", "--set-credential", "a"], "'a' is not ID:TEXT"),
    (["{dir}/raw", "--load-credential", ":a"], "':a' is not ID:FILE"),
]
START = [
    (["{dir}/none"], "could not open '{dir}/none': No such file"),
    (["{dir}"], "'{dir}' is a directory"),
    (["{dir}/raw", "--disk", "{dir}"], "'{dir}' is a directory"),
    (["--disk", "x"], "--disk x: there is no '{dir}/.local/share/vmon/"),
    (["{dir}/raw", "--ssh-key", "{dir}/none"], "could not read '{dir}/none'"),
    (["{dir}/raw", "--disk", "{dir}/none/../raw/x"], "No such file or directory"),
    (["{dir}/raw", "--meta-data", "{dir}/raw", "--hostname", "a"],
     "meta-data= says what ssh-key="),
    (["{dir}/raw", "--config-drive", "--network-config", "{dir}/raw"],
     "a config drive has no network-config"),
    (["{dir}/raw", "--ignition", "{dir}/none"], "could not read '{dir}/none'"),
    (["{dir}/raw", "--load-credential", "a:{dir}/none"],
     "could not read '{dir}/none'"),
    (["{dir}/raw", "--load-credential", "a:{dir}/raw"],
     "'{dir}/raw' has more than 32768 bytes"),
    (["{dir}/raw", "--ssh-key", "agent"], "--ssh-key agent: it has no keys"),
    (["{dir}/raw", "-p", "{busy}:80"], "Could not set up host forwarding"),
]


class Run(unittest.TestCase):
    def setUp(self):
        tmp = tempfile.TemporaryDirectory(prefix="vmon-run-")
        self.addCleanup(tmp.cleanup)
        self.dir = pathlib.Path(tmp.name)
        (self.dir / "raw").write_bytes(bytes(1 << 20))
        subprocess.run([vm.program(), "img", "create", "-q", "-f", "qcow2",
                        self.dir / "my image.qcow2", "1M"], check=True)
        self.env = dict(os.environ, HOME=tmp.name, XDG_RUNTIME_DIR=tmp.name)
        for name in "XDG_DATA_HOME", "SSH_AUTH_SOCK", "NOTIFY_SOCKET":
            self.env.pop(name, None)

    def run_vmon(self, *args):
        return subprocess.run([vm.program(), "run", *map(str, args)],
                              stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60 * vm.SLOW, env=self.env,
                              check=False)

    def words(self, *args, lines=1):
        """Of the last line of --dry-run."""
        r = self.run_vmon("--dry-run", *args)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(r.stdout.count("\n"), lines)
        self.assertEqual(r.stderr, "")
        return shlex.split(r.stdout.splitlines()[-1])

    def test_defaults(self):
        folder = self.dir / "vmon" / "raw"
        self.assertEqual(self.words(self.dir / "raw"), [
            "vmon", "-name", "raw", "-pidfile", f"{folder}/pid", "-chardev",
            "backend=stdio,id=console,mux=on,signal=off,"
            f"logfile={folder}/log,logmax=4M", "-serial", "chardev:console",
            "-mon", "chardev=console,mode=readline", "-display", "none",
            "-m", "2G", "-smp", "2",
            "-drive", f"file={self.dir}/raw,format=raw,if=virtio,snapshot=on",
            "-cloud-init", "", "-nic", "user,hostfwd=tcp:127.0.0.1:0-:22",
            "-device", "virtio-rng-pci", "-device", "pvpanic-pci"])
        self.assertFalse(folder.exists())

    def test_all(self):
        (self.dir / ".ssh").mkdir()
        (self.dir / ".ssh" / "id_rsa.pub").write_text(KEY)
        words = self.words(
            "-m", "512M", "--cpus=3", "-nweb", "-p", "8080:80", "--publish",
            "0.0.0.0:53:5353/udp", "--password", "it's, you", "--write",
            self.dir / "my image.qcow2", "--", "-S", "-monitor", "pty")
        self.assertEqual(words, [
            "vmon", "-name", "web", "-pidfile", f"{self.dir}/vmon/web/pid",
            "-nographic", "-m", "512M", "-smp", "3",
            "-drive",
            f"file={self.dir}/my image.qcow2,if=virtio,discard=unmap",
            "-cloud-init", "hostname=web,password=it's,, you", "-nic",
            "user,hostfwd=tcp:127.0.0.1:0-:22,"
            "hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=udp:0.0.0.0:53-:5353",
            "-device", "virtio-rng-pci", "-device", "pvpanic-pci", "-S", "-monitor", "pty"])
        words = self.words(self.dir / "raw")
        self.assertIn(f"ssh-key={self.dir}/.ssh/id_rsa.pub", words)

    def test_first_boot(self):
        """What a guest is told by other ways than NoCloud's volume."""
        (self.dir / "i.ign").write_text("{}")
        (self.dir / "key").write_text(KEY)
        words = self.words(self.dir / "raw", "--ignition", self.dir / "i.ign",
                           "--set-credential", "a.b:x=y,z",
                           "--load-credential", f"k:{self.dir}/key")
        for name in "com.coreos", "org.flatcar-linux":
            self.assertIn(f"name=opt/{name}/config,file={self.dir}/i.ign",
                          words)
        self.assertIn("type=11,value=io.systemd.credential:a.b=x=y,,z", words)
        encoded = base64.b64encode(KEY.encode()).decode()
        self.assertIn("type=11,value=io.systemd.credential.binary:k="
                      + encoded, words)
        self.assertNotIn("-cloud-init", words)
        words = self.words(self.dir / "raw", "--config-drive", "--hostname",
                           "a", "--user-data", "u")
        self.assertIn("hostname=a,user-data=u,config-drive=on", words)
        words = self.words(self.dir / "raw", "--meta-data", "m")
        self.assertIn("meta-data=m", words)

    def tool(self, name, script):
        (self.dir / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.dir / name).chmod(0o755)
        self.env["PATH"] = f"{self.dir}:{os.environ['PATH']}"

    def test_backing(self):
        """A strange image may name no other file, but when it is allowed."""
        subprocess.run([vm.program(), "img", "create", "-q", "-f", "qcow2",
                        "-F", "raw", "-b", self.dir / "raw",
                        self.dir / "over.qcow2"], check=True)
        for args in [], ["--disk", "x"]:
            r = self.run_vmon("--dry-run", self.dir / "over.qcow2", *args)
            self.assertEqual(r.returncode, 2)
            self.assertIn("backing-files=on allows it", r.stderr)
            words = self.words(self.dir / "over.qcow2", "--backing-files",
                               *args, lines=2 if args else 1)
            self.assertTrue([w for w in words if ",format=qcow2," in w], words)

    def test_user(self):
        """vmon ssh logs in as whom the image's cloud-init gives the keys to."""
        tree, image = self.dir / "tree", self.dir / "cloud"
        for name in "etc/os-release", "usr/bin/cloud-init":
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text("ID=debian\n")
        image.write_bytes(bytes(8 << 20))
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", tree, "-F", image],
                       env=dict(os.environ, PATH=os.environ["PATH"]
                                + ":/usr/sbin:/sbin"), check=True)
        self.tool("ssh", 'echo "$@"')
        r = self.run_vmon("-d", "-n", "box", image)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.addCleanup(self.verb, "ctl", "box", "quit")
        self.assertRegex(self.verb("ssh", "box", "id").stdout,
                         r" debian@127\.0\.0\.1 id\n$")
        self.assertRegex(self.verb("ssh", "root@box", "id").stdout,
                         r" root@127\.0\.0\.1 id\n$")

    def test_keys(self):
        """Of ssh's agent, or made once; vmon ssh knows the latter."""
        self.make_bootable()
        self.tool("ssh-add", f"echo '{KEY.strip()}'")
        self.tool("ssh-keygen", 'for f; do :; done; echo p >"$f";'
                  f"echo '{KEY.strip()}' >\"$f.pub\"; echo x >>{self.dir}/made")
        self.tool("ssh", 'echo "$@"')
        for key in "agent", "generate", "generate":
            r = self.run_vmon("-d", "-n", "box", "--wait", "text=hi!",
                              "--ssh-key", key, self.dir / "raw")
            self.addCleanup(self.verb, "ctl", "box", "quit")
            self.assertEqual(r.returncode, 0, r.stderr)
            if key == "agent":
                self.assertEqual((self.dir / "vmon/box/keys").read_text(), KEY)
            else:
                self.assertIn(f"-i {self.dir}/.local/share/vmon/id_ed25519 ",
                              self.verb("ssh", "box").stdout)
            r = self.verb("ctl", "box", "info", "block")
            self.assertIn("seed", r.stdout)
            self.verb("stop", "--timeout", "0.1", "box")
        self.assertEqual((self.dir / "made").read_text(), "x\n")
        self.assertFalse((self.dir / "vmon/box/keys").exists())

    def test_service(self):
        """Under systemd: READY, signs of life, a socket it has opened."""
        self.make_bootable()
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.bind(str(self.dir / "notify"))
        manager.settimeout(60 * vm.SLOW)
        self.addCleanup(manager.close)
        door = socket.socket(socket.AF_UNIX)
        door.bind(str(self.dir / "door"))
        door.listen()
        self.addCleanup(door.close)
        p = subprocess.Popen(
            [vm.program(), "run", "--service", "-n", "box", self.dir / "raw",
             "--", "-mon", "m", "-chardev",
             f"socket,id=m,fd={door.fileno()},server=on,wait=off",
             "-serial", "null"], pass_fds=[door.fileno()],
            stdin=subprocess.DEVNULL,
            env=dict(self.env, NOTIFY_SOCKET=f"{self.dir}/notify",
                     WATCHDOG_USEC="200000", LISTEN_FDS="1"))
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        self.assertEqual(manager.recv(4096),
                         f"READY=1\nMAINPID={p.pid}".encode())
        for _ in range(3):
            self.assertEqual(manager.recv(4096), b"WATCHDOG=1")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.dir / "door"))
            client.settimeout(60 * vm.SLOW)
            self.assertIn(b"QEMU", client.recv(4096))
            client.sendall(b"quit\n")
            while client.recv(4096):
                pass
        while (said := manager.recv(4096)) == b"WATCHDOG=1":
            pass
        self.assertEqual(said, b"STOPPING=1")
        self.assertEqual(p.wait(60 * vm.SLOW), 0)

    def test_wrong(self):
        with socket.create_server(("127.0.0.1", 0)) as busy:
            names = {"dir": self.dir, "busy": busy.getsockname()[1]}
            for status, table in (1, USAGE), (2, START):
                for args, want in table:
                    with self.subTest(args=args):
                        r = self.run_vmon(*[a.format(**names) for a in args])
                        self.assertEqual(r.returncode, status, r.stderr)
                        lines = [line for line in r.stderr.splitlines()
                                 if " leads to the guest" not in line
                                 and "/dev/kvm" not in line]
                        self.assertEqual(len(lines), 1, r.stderr)
                        self.assertIn(want.format(**names), lines[0])

    def test_disk(self):
        """The image is never written to; the disk is gone on with."""
        image, home = self.dir / "raw", self.dir / ".local/share/vmon"
        self.make_bootable()
        before = image.read_bytes()
        image.chmod(0o444)

        def run(*args):
            r = self.run_vmon("-d", "-n", "box", "--wait", "text=^hi!",
                              "--timeout", "60", *args)
            self.assertEqual(r.returncode, 0, r.stderr)
            seed = self.verb("ctl", "box", "info", "block").stdout
            self.assertEqual(self.verb("ctl", "box", "quit").returncode, 0)
            self.wait_ended()
            return seed

        def info(path):
            return json.loads(self.verb("img", "info", "--output=json",
                                        path).stdout)
        words = self.words("--disk", "web", "--size", "2M", image, lines=2)
        self.assertIn("web", words)
        self.assertFalse(home.exists())
        self.assertIn("chain depth: 1", run("--disk", "web", image))
        size = info(home / "web.qcow2")
        self.assertEqual(size["virtual-size"], 1 << 20)
        self.assertEqual(size["full-backing-filename"], str(image))
        first = self.words("--disk", "web")
        run("--disk", "web", "--size", "3M")
        run("--disk", "web", "--size", "3M", image)
        self.assertEqual(info(home / "web.qcow2")["virtual-size"], 3 << 20)
        seed = [w for w in first if "instance-id" in w]
        self.assertTrue(seed, first)
        self.assertIn(seed[0], self.words("--disk", "web"))
        run("--disk", self.dir / "a.qcow2", image)
        self.assertNotIn(seed[0], self.words("--disk", self.dir / "a.qcow2"))
        self.assertIn("/dev/fdset/1", run("--ephemeral", "--size", "5M", image))
        for args, status, want in (
                (["--disk", "web", "--size", "2M"], 1,
                 "--size 2M is less than"),
                (["--disk", "web", self.dir / "my image.qcow2"], 2,
                 f"is over the image '{image}'"),
                (["--disk", image], 1, "is not in qcow2 format"),
                (["--disk", self.dir / "my image.qcow2"], 1, "no overlay")):
            r = self.run_vmon(*args)
            self.assertEqual(r.returncode, status, r.stderr)
            self.assertIn(want, r.stderr)
        self.assertEqual(image.read_bytes(), before)
        image.unlink()
        r = self.run_vmon("--disk", "web")
        self.assertEqual(r.returncode, 2)
        self.assertIn(f"could not open its image '{image}'", r.stderr)
        self.assertEqual(sorted(p.name for p in home.iterdir()),
                         ["web.qcow2"])

    def foreground(self, *args):
        return subprocess.Popen(
            [vm.program(), "run", "-n", "box", self.dir / "raw", *args],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=self.env)

    def test_status(self):
        """How a machine ends is what vmon run ends with."""
        power_off = bytes.fromhex("ba0406b80020ef")  # out 0x604, 0x2000
        reset = bytes.fromhex("b0fee664")            # out 0x64, 0xfe
        panic = b"Kernel panic - not syncing: test\r\n"
        for code, text, args, status, want in (
                (power_off, b"hi!\r\n", [], 0, b""),
                (reset, b"hi!\r\n", ["--", "-no-reboot"], 4, b""),
                (b"", panic, [], 3, b"the guest's kernel panicked"),
                (b"", b"hi!\r\n", [], 128 + signal.SIGTERM, b"signal 15")):
            with self.subTest(status=status):
                self.make_bootable(text, code)
                p = self.foreground(*args)
                self.addCleanup(p.kill)
                if not code:
                    self.until_log(text.strip())
                    if status == 3:
                        self.verb("ctl", "box", "quit")
                    else:
                        p.terminate()
                out = p.communicate(timeout=60 * vm.SLOW)[0]
                self.assertEqual(p.returncode, status, out)
                self.assertIn(want, out)
                self.assertEqual(sorted(
                    f.name for f in (self.dir / "vmon/box").iterdir()),
                    ["lock", "log"])

    def until_log(self, text, name="box"):
        log = self.dir / "vmon" / name / "log"
        end = time.monotonic() + 60 * vm.SLOW
        while not (log.exists() and text in log.read_bytes()):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    def test_stale(self):
        """One that was killed leaves its folder, not its name."""
        self.make_bootable()
        for _ in range(2):
            r = self.run_vmon("-d", "-n", "box", "--wait", "text=hi!",
                              self.dir / "raw")
            self.assertEqual(r.returncode, 0, r.stderr)
            pid = int((self.dir / "vmon/box/pid").read_text())
            os.kill(pid, signal.SIGKILL)
            self.wait_gone(pid)
            r = self.verb("console", "box")
            self.assertEqual(r.returncode, 2)
            self.assertIn(f"'box' has ended; what it said is in {self.dir}/",
                          r.stderr)
            self.assertEqual(self.verb("list").stdout, "")

    def wait_gone(self, pid):
        end = time.monotonic() + 60 * vm.SLOW
        while pathlib.Path(f"/proc/{pid}/fd").exists():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            if "State:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text():
                return

    def test_names(self):
        """Two of one image: the second is called otherwise."""
        self.make_bootable()
        for name in "raw", "raw-2":
            r = self.run_vmon("-d", "--wait", "text=hi!", self.dir / "raw")
            self.addCleanup(self.verb, "ctl", name, "quit")
            self.assertEqual(r.returncode, 0, r.stderr)
            self.until_log(b"hi!", name)
        p = self.foreground()
        self.addCleanup(p.communicate)
        self.addCleanup(p.kill)
        self.until_log(b"hi!")
        r = self.verb("console", "box")
        self.assertEqual(r.returncode, 2)
        self.assertIn("is on the terminal it was started from", r.stderr)

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

    def make_bootable(self, text=b"hi!\r\n", then=b""):
        """A boot sector that says that by INT 10h, does that, and halts."""
        code = b"".join(bytes((0xb8, c, 0x0e, 0xcd, 0x10)) for c in text)
        code += then + b"\xf4\xeb\xfd"
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
        console = self.dir / "vmon" / "box" / "console"
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
        self.assertEqual(r.returncode, 2)
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
        for args, want in ((["console", "box"], "'box' has ended"),
                           (["console", "bow"], "no machine 'bow' was started"),
                           (["ssh", "box"], "no machine 'box'"),
                           (["stop", "box"], "no machine 'box'")):
            r = self.verb(*args)
            self.assertEqual(r.returncode, 2, args)
            self.assertIn(want, r.stderr)
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
                          "1", self.dir / "raw")
        self.assertEqual(r.returncode, 6, r.stderr)
        self.assertIn("'box' has not come to 'login' in 1 s", r.stderr)
        self.assertIn("it has come to: firmware; the end of its console:\nhi!",
                      r.stderr)
        self.verb("ctl", "box", "quit")
        self.wait_ended()
        # A guest has no say about this terminal.
        uart = b"\xba\xf8\x03" + b"".join(
            bytes((0xb0, c, 0xee)) for c in b"\x1b[31mred\x1b[2J\x1b]0;x\x07!\r\n")
        self.make_bootable(b"", uart)
        r = self.run_vmon("-d", "-n", "box", "--wait", "login", "--timeout",
                          "1", self.dir / "raw")
        self.assertEqual(r.returncode, 6, r.stderr)
        self.assertIn("its console:\nred]0;x!\n", r.stderr)
        self.assertNotIn("\x1b", r.stderr)
        self.verb("ctl", "box", "quit")
        self.wait_ended()
        # It says nothing but that, for ever.
        self.make_bootable(b"", bytes.fromhex("b8550ecd10ebf9"))
        r = self.run_vmon("-d", "-n", "box", "--wait", "login", "--timeout",
                          "1", self.dir / "raw")
        self.assertEqual(r.returncode, 6, r.stderr[-500:])
        self.assertLess(len(r.stderr), 10000)
        self.verb("ctl", "box", "quit")
        self.wait_ended()
        self.make_bootable(b"GRUB loading\r\nhi!\r\n")
        r = self.run_vmon("-d", "-n", "box", "--wait", "text=^h.!$",
                          "--timing", self.dir / "raw")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertRegex(r.stdout, r"(?m)^ +\d+\.\d{3} s  boot loader\n"
                         r" +\d+\.\d{3} s  text=\^h\.!\$$")
        self.assertIn("'box': boot loader after", r.stderr)

    def test_wait_stuck(self):
        """What ends the waiting before its time, and what is said of it."""
        for text, args, status, want in (
                (None, [], 5, "no disk has a boot loader"),
                (b"grub> ", [], 5, "waits for commands (grub>)"),
                (b"Kernel panic - not syncing: VFS: Unable to mount root fs on",
                 [], 3, "the kernel sees no root file system"),
                (b"Kernel panic - not syncing: x", [], 3, "kernel panicked")):
            with self.subTest(text=text):
                if text:
                    self.make_bootable(text)
                r = self.run_vmon("-d", "-n", "box", "--wait", "ssh", *args,
                                  self.dir / "raw")
                self.assertEqual(r.returncode, status, r.stderr)
                self.assertIn("'box' does not come to 'ssh': ", r.stderr)
                self.assertIn(want, r.stderr)
                self.verb("ctl", "box", "quit")
                self.wait_ended()
        self.make_bootable(b"bye", bytes.fromhex("ba0406b80020ef"))
        r = self.run_vmon("-d", "-n", "box", "--wait", "login",
                          self.dir / "raw")
        self.assertEqual(r.returncode, 5, r.stderr)
        self.assertIn("does not come to 'login': it has ended", r.stderr)
        r = self.run_vmon("-d", "-n", "box", "--wait", "shutdown",
                          self.dir / "raw")
        self.assertEqual(r.returncode, 0, r.stderr)

    def test_log(self):
        """A guest that never stops fills no disk."""
        code = bytes.fromhex("b8550ecd10ebf9")  # 'U', again and again
        self.make_bootable(b"hi!", code)
        p = subprocess.Popen(
            [vm.program(), "-nodefaults", "-display", "none", "-chardev",
             f"null,id=n,logfile={self.dir}/log,logmax=4K", "-serial",
             "chardev:n", "-drive",
             f"file={self.dir}/raw,if=virtio,format=raw,snapshot=on"])
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        end = time.monotonic() + 60 * vm.SLOW
        log, old = self.dir / "log", self.dir / "log.1"
        while not (old.exists() and b"hi!" not in old.read_bytes()):
            self.assertLess(time.monotonic(), end)
        p.kill()
        p.wait()
        if log.exists():  # or it had just become the other
            self.assertLessEqual(log.stat().st_size, 4096)
        self.assertEqual(old.stat().st_size, 4096)

    def test_messages(self):
        """In the background vmon's own words go to a file."""
        r = self.run_vmon("-d", "-n", "box", "--wait", "text=No bootable",
                          self.dir / "raw")
        self.addCleanup(self.verb, "ctl", "box", "quit")
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertIn("vmon: No bootable device: 'virtio0': it is blank.",
                      (self.dir / "vmon/box/messages").read_text())

    def test_quit(self):
        """It answers before it goes."""
        for _ in range(20):
            self.test_machine()


if __name__ == "__main__":
    unittest.main(verbosity=2)
