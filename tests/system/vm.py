# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts a VM, reads its serial port, talks to its monitor, keeps times.

    with Vm("-m", "256", serial="unix", monitor=True) as vm:
        vm.expect("login:", 60)
        print(vm.monitor("info status"))

Environment:
    VMON         program to test (default build/vmon beside the sources); any
                 program with QEMU's command line will do, QEMU included
    VMON_ACCEL   what follows -accel (default tcg)
    VMON_CACHE   where kernels are kept (default ~/.cache/vmon)
    VMON_SLOW    factor on every time limit (default 3)
    VMON_KEEP    keep the folder with logs of every VM
"""
import fcntl
import functools
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
import tty

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SLOW = float(os.environ.get("VMON_SLOW", "3"))


class Skip(Exception):
    """Something that this test needs is not here."""


class Failure(AssertionError):
    """The VM did not do what was expected; says what it did last."""


def program():
    path = os.environ.get("VMON") or str(ROOT / "build" / "vmon")
    found = shutil.which(path)
    if not found:
        raise Skip(f"no {path} (set VMON)")
    return os.path.abspath(found)


def accel():
    return os.environ.get("VMON_ACCEL", "tcg")


def cache():
    path = os.environ.get("VMON_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),
        "vmon")
    return pathlib.Path(path)


def _tool(name, *args):
    r = subprocess.run([str(ROOT / "tests" / "kvm" / name), *args],
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       text=True, check=False)
    if r.returncode:
        raise Skip(f"{name}: {r.stderr.strip()}")
    return r.stdout.strip()


def debian_kernel(kind="cloud"):
    """Folder of Debian's cloud or generic kernel, fetched if need be."""
    return pathlib.Path(_tool("debian-kernel", kind))


def debian_package(name):
    """Folder with the files of a package of Debian, fetched if need be."""
    folder = cache() / name
    if folder.exists():
        return folder
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise Skip(f"{name}: no apt-get, no dpkg")
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache()) as work:
        r = subprocess.run(["apt-get", "-q", "-o", "APT::Sandbox::User=root",
                            "download", name], cwd=work, text=True,
                           capture_output=True, check=False)
        if r.returncode:
            raise Skip(f"{name}: {r.stderr.strip()}")
        package, = pathlib.Path(work).glob("*.deb")
        subprocess.run(["dpkg", "-x", package, f"{work}/tree"], check=True)
        os.rename(f"{work}/tree", folder)
    return folder


def _apt_i386(work, *args):
    """apt with lists of its own, as this machine need not know i386."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (work / name).mkdir(parents=True, exist_ok=True)
    options = ["APT::Architecture=i386", "APT::Architectures::=i386",
               f"Dir::State={work}/state", "Dir::State::status=/dev/null",
               f"Dir::Cache={work}/cache", "APT::Sandbox::User=root"]
    return subprocess.run([args[0], "-q", *(f"-o{o}" for o in options),
                           *args[1:]], cwd=work, text=True,
                          stdin=subprocess.DEVNULL, capture_output=True,
                          check=False)


def debian_i386():
    """Folder of Debian's 32-bit kernel and busybox, fetched if need be."""
    folder = cache() / "linux-image-686-pae"
    if not folder.exists():
        _fetch_i386(folder)
    try:
        subprocess.run([folder / "bin" / "busybox", "true"], check=True)
    except (OSError, subprocess.CalledProcessError) as e:
        raise Skip(f"i386: {e}") from e
    return folder


def _fetch_i386(folder):
    if not (shutil.which("apt-get") and shutil.which("dpkg")):
        raise Skip("i386: no apt-get, no dpkg")
    cache().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache()) as work:
        work = pathlib.Path(work)
        # Lists that do not come are told by what is missing then.
        lists = _apt_i386(work, "apt-get", "update")
        meta = _apt_i386(work, "apt-cache", "depends", "linux-image-686-pae")
        m = re.search(r"Depends: (linux-image-\d\S+)", meta.stdout)
        if not m:
            raise Skip(f"i386: no linux-image-686-pae\n{lists.stderr}")
        r = _apt_i386(work, "apt-get", "download", m.group(1),
                      "busybox-static")
        if r.returncode:
            raise Skip(f"i386: {r.stderr.strip()}")
        for package in work.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, work / "tree"], check=True)
        (work / "tree").chmod(0o755)
        try:
            os.rename(work / "tree", folder)
        except OSError:
            if not folder.exists():  # another has been faster
                raise


def initramfs(out, kernel, modules, init=HERE / "init", files=()):
    """Makes an initramfs of busybox, kernel modules and (source, name)s.

    A folder with a kernel may have a busybox that goes with it."""
    args = ["-o", str(out), "-k", str(kernel)]
    if (kernel / "bin" / "busybox").exists():
        args += ["-b", str(kernel / "bin" / "busybox")]
    if modules:
        args += ["-m", ",".join(modules)]
    for source, name in files:
        args += ["-f", f"{source}:{name}"]
    _tool("initramfs", *args, str(init))
    return out


class Channel:
    """Bytes to and from the VM, with everything that came kept in `log`."""

    def __init__(self, name, vm):
        self.name = name
        self.vm = vm
        self.fd = -1
        self.log = b""
        self.seen = 0  # what expect() has consumed
        self.closed = False

    def attach(self, fd):
        os.set_blocking(fd, False)
        self.fd = fd

    def poll(self, seconds):
        """Reads what comes within that time; False at the end of file."""
        if self.fd < 0 or self.closed:
            time.sleep(min(seconds, 0.02))
            return False
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except BlockingIOError:
            return True
        except OSError:  # a pty whose other side is gone
            data = b""
        self.log += data
        self.closed = not data
        return bool(data)

    def write(self, data):
        if isinstance(data, str):
            data = data.encode()
        end = time.monotonic() + 10 * SLOW
        while data:
            if time.monotonic() > end:
                raise Failure(f"{self.name} takes no more input")
            if select.select([], [self.fd], [], 0.1)[1]:
                data = data[os.write(self.fd, data):]

    def text(self):
        return self.log.decode(errors="replace")

    def expect(self, pattern, timeout=10):
        """Waits for a regular expression behind what was matched before.

        Returns the match; its time since start is in vm.times[pattern]."""
        end = time.monotonic() + timeout * SLOW
        regex = re.compile(pattern.encode(), re.S)
        while True:
            m = regex.search(self.log, self.seen)
            if m:
                self.seen = m.end()
                self.vm.times[pattern] = time.monotonic() - self.vm.started
                return m
            left = end - time.monotonic()
            if left <= 0:
                raise self.vm.failure(f"{self.name}: no {pattern!r} within "
                                      f"{timeout * SLOW:g} s")
            if not self.poll(min(left, 0.1)) and self.vm.exited():
                self.poll(0)
                if not regex.search(self.log, self.seen):
                    raise self.vm.failure(f"{self.name}: the VM ended "
                                          f"before {pattern!r}")


class FileChannel(Channel):
    """A file that the VM appends to; cannot be written."""

    def poll(self, seconds):
        data = os.read(self.fd, 65536)
        self.log += data
        if not data:
            time.sleep(min(seconds, 0.02))
        return True


class Vm:
    """One run of the program under test.

    serial: "unix", "pty", "file" or None; monitor: True for one on a unix
    socket.  The sockets are ours and the VM connects to them, so that no
    byte is lost before we look."""

    def __init__(self, *args, serial="unix", monitor=True, defaults=False,
                 accel=None):
        self.accel = accel
        self.args = [str(a) for a in args]
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="vmon-test-"))
        self.serial = None
        self.mon = None
        self.process = None
        self.times = {}
        self._serial_kind = serial
        self._monitor = monitor
        self._defaults = defaults
        self._listeners = []

    # ---- life

    def _listen(self, name):
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(self.dir / name))
        sock.listen(1)
        self._listeners.append(sock)
        return sock

    def _accept(self, sock, channel):
        end = time.monotonic() + 10 * SLOW
        while not select.select([sock], [], [], 0.05)[0]:
            if self.exited() or time.monotonic() > end:
                raise self.failure(f"{channel.name} did not connect")
        channel.attach(sock.accept()[0].detach())

    def _serial_args(self):
        kind = self._serial_kind
        if kind is None:
            return ["-serial", "none"]
        if kind == "unix":
            self._listen("serial")
            return ["-serial", f"unix:{self.dir}/serial"]
        if kind == "file":
            (self.dir / "serial").touch()
            return ["-serial", f"file:{self.dir}/serial"]
        assert kind == "pty"
        return ["-serial", "pty"]

    def start(self):
        argv = [program(), "-accel", self.accel or accel(), "-display", "none"]
        if not self._defaults:
            argv += ["-nodefaults", "-no-user-config"]
        argv += self._serial_args()
        if self._monitor:
            self._listen("monitor")
            argv += ["-monitor", f"unix:{self.dir}/monitor"]
        argv += self.args
        self.argv = argv
        self.stdout = open(self.dir / "stdout", "w+b")
        self.stderr = open(self.dir / "stderr", "w+b")
        self.started = time.monotonic()
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                                        stdout=self.stdout,
                                        stderr=self.stderr)
        try:
            self._connect()
        except BaseException:
            self.stop()
            raise
        return self

    def _connect(self):
        waiting = list(self._listeners)
        if self._serial_kind == "file":
            self.serial = FileChannel("serial", self)
            self.serial.attach(os.open(self.dir / "serial", os.O_RDONLY))
        elif self._serial_kind:
            self.serial = Channel("serial", self)
        if self._serial_kind == "unix":
            self._accept(waiting.pop(0), self.serial)
        elif self._serial_kind == "pty":
            self._open_pty()
        if self._monitor:
            self.mon = Channel("monitor", self)
            self._accept(waiting.pop(0), self.mon)
            self.mon.expect(r"\(qemu\) ", 10)

    def _open_pty(self):
        end = time.monotonic() + 10 * SLOW
        while True:
            m = re.search(r"redirected to (/dev/pts/\d+)", self.output())
            if m:
                break
            if self.exited() or time.monotonic() > end:
                raise self.failure("no pty was announced")
            time.sleep(0.02)
        fd = os.open(m.group(1), os.O_RDWR | os.O_NOCTTY)
        tty.setraw(fd, termios.TCSANOW)
        self.serial.attach(fd)

    def exited(self):
        return self.process is None or self.process.poll() is not None

    def wait(self, timeout=10):
        """Exit status of the program, within that time."""
        end = time.monotonic() + timeout * SLOW
        while not self.exited():
            for channel in (self.serial, self.mon):
                if channel:
                    channel.poll(0.02)
            if time.monotonic() > end:
                raise self.failure(f"still there after {timeout * SLOW:g} s")
        return self.process.returncode

    def stop(self):
        if self.process and not self.exited():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for channel in (self.serial, self.mon):
            if channel and channel.fd >= 0:
                (self.dir / (channel.name + ".log")).write_bytes(channel.log)
                os.close(channel.fd)
                channel.fd = -1
        for sock in self._listeners:
            sock.close()
        for f in (getattr(self, "stdout", None), getattr(self, "stderr", None)):
            if f:
                f.close()
        if os.environ.get("VMON_KEEP"):
            print(f"logs: {self.dir}", file=sys.stderr)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    # ---- what it says

    def output(self):
        """What the program wrote to stdout and stderr so far."""
        return "".join((self.dir / f).read_text(errors="replace")
                       for f in ("stdout", "stderr"))

    def failure(self, why):
        text = [why, "command: " + " ".join(self.argv)]
        if self.exited() and self.process:
            text.append(f"exit status: {self.process.returncode}")
        text.append("output: " + self.output()[-1500:])
        for channel in (self.serial, self.mon):
            if channel:
                text.append(f"end of {channel.name}: "
                            + channel.text()[-1500:])
        return Failure("\n".join(text))

    def expect(self, pattern, timeout=10):
        return self.serial.expect(pattern, timeout)

    def send(self, text):
        self.serial.write(text)

    def monitor(self, command, timeout=10):
        """Runs a monitor command; what it printed, lines ended by \\n."""
        start = self.mon.seen
        self.mon.write(command + "\n")
        # The echo of a line editor ends with the line's end.
        self.mon.expect(r"\r?\n(?:.*\n)?\(qemu\) ", timeout)
        text = self.mon.log[start:self.mon.seen].decode(errors="replace")
        text = text.replace("\r", "").split("\n", 1)[1]
        return text[:text.rindex("(qemu) ")]

    def usage(self):
        """Resident memory (bytes) and CPU time (seconds) of the program."""
        pid = self.process.pid
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        fields = stat[stat.rindex(")") + 2:].split()
        ticks = int(fields[11]) + int(fields[12])
        rss = int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) * 1024
        return rss, ticks / os.sysconf("SC_CLK_TCK")

    def overhead(self):
        """Resident memory (bytes) that is not the guest's RAM.  Of the two
        views of translated code, which are the same pages, one counts."""
        return sum(rss for head, rss in mappings(self.process.pid) if not (
            "/memfd:vmon-jit" in head and head.split()[1] == "r-xs"))


def mappings(pid):
    """First line and resident bytes of each mapping that is not guest RAM,
    which no child gets (dc) and has huge pages (hg)."""
    text = pathlib.Path(f"/proc/{pid}/smaps").read_text()
    for m in re.finditer(r"^([0-9a-f]+-.*)\n(?:.*\n)*?Rss: +(\d+) kB\n"
                         r"(?:.*\n)*?VmFlags:(.*)$", text, re.M):
        if not {"dc", "hg"} <= set(m.group(3).split()):
            yield m.group(1), int(m.group(2)) * 1024


class LinuxVm(Vm):
    """Debian's kernel with a busybox initramfs that runs commands."""

    MODULES = ("virtio_pci", "virtio_net", "virtio_blk")
    _made = {}

    def __init__(self, *args, modules=MODULES, append="", memory=256,
                 kind="cloud", compressed=False, **kwargs):
        kernel = debian_i386() if kind == "i386" else debian_kernel(kind)
        key = (kernel, tuple(modules))
        if key not in self._made:
            self._made[key] = self._make(kernel, modules)
        image = kernel / "vmlinux"
        if compressed or not image.exists():
            image, = kernel.glob("boot/vmlinuz-*")
        super().__init__("-kernel", image, "-initrd", self._made[key],
                         "-m", memory,
                         "-append", "console=ttyS0 quiet panic=-1 "
                         f"mitigations=off {append}".strip(),
                         "-no-reboot", *args, **kwargs)

    @staticmethod
    def _make(kernel, modules):
        """The initramfs, kept as long as nothing it is made of changes."""
        name = "-".join(["initramfs", kernel.name, *modules])
        out = kernel.parent / (name + ".cpio")
        sources = [HERE / "init", HERE / "udhcpc",
                   ROOT / "tests" / "kvm" / "initramfs"]
        with open(kernel.parent / "initramfs.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not out.exists() or any(s.stat().st_mtime > out.stat().st_mtime
                                       for s in sources):
                initramfs(out, kernel, modules,
                          files=[(HERE / "udhcpc",
                                  "/etc/udhcpc/default.script")])
        return out

    def boot(self, timeout=120):
        """Until the guest takes commands; seconds since start."""
        self.expect("vmon-guest: ready\r*\n", timeout)
        return time.monotonic() - self.started

    def run(self, command, timeout=30, check=True):
        """Runs a shell command in the guest; its output."""
        assert "\n" not in command
        self.send(command + "\n")
        m = self.expect(r"@@begin@@\r*\n(.*?)@@end (\d+)@@\r*\n", timeout)
        text = m.group(1).decode(errors="replace").replace("\r", "")
        status = int(m.group(2))
        if check and status:
            raise self.failure(f"guest: {command}: status {status}\n{text}")
        return text if check else (status, text)


@functools.lru_cache
def debian_image(name="debian", packages=()):
    """Folder with disk.raw, vmlinuz, initrd.img, id_vmon; made if need be."""
    folder = cache() / name
    tool = ROOT / "tools" / "debian-image"
    if (folder / "disk.raw").exists():
        return folder
    if not tool.exists() or not shutil.which("mmdebstrap"):
        raise Skip(f"no {folder}/disk.raw (tools/quickstart makes it)")
    cache().mkdir(parents=True, exist_ok=True)
    with open(cache() / "debian.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "disk.raw").exists():
            return folder
        r = subprocess.run([str(tool), str(folder), *packages], text=True,
                           check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT)
    if r.returncode:
        raise Skip(f"debian-image: {r.stdout[-500:]}")
    return folder


class DebianVm(Vm):
    """A whole Debian on a disk, used from its serial console."""

    def __init__(self, disk, *args, drive="", device="", append="",
                 memory=512, image=None, **kwargs):
        image = image or debian_image()
        kind = "qcow2" if str(disk).endswith(".qcow2") else "raw"
        super().__init__("-kernel", image / "vmlinuz",
                         "-initrd", image / "initrd.img", "-m", memory,
                         "-append", "root=/dev/vda rw console=ttyS0 "
                         f"loglevel=4 {append}".strip(),
                         "-drive", f"file={disk},format={kind},if=none,id=disk0"
                         + drive,
                         "-device", "virtio-blk-pci,drive=disk0" + device,
                         *args, **kwargs)

    def login(self, timeout=600):
        """From start or reset to a shell; seconds until the prompt."""
        start = time.monotonic()
        self.expect("vmon login: ", timeout)
        seconds = time.monotonic() - start
        self.send("root\n")
        self.expect("Password: ", 60)
        self.send("vmon\n")
        self.expect(r"root@vmon:.*# ", 120)
        # No echo, no prompt, no line editor: run() reads plain output.
        self.send("exec env PS1= bash --norc --noprofile --noediting\n")
        self.send("stty -echo; echo @@$((6 * 7))@@\n")
        self.expect(r"@@42@@\r?\n", 60)
        return seconds

    def run(self, command, timeout=60, check=True):
        """Runs a shell command in the guest; its output."""
        assert "\n" not in command
        self.send(f"echo @@begin@@; {command}\necho \"@@end $?@@\"\n")
        m = self.expect(r"@@begin@@\r?\n(.*?)@@end (\d+)@@\r?\n", timeout)
        text = m.group(1).decode(errors="replace").replace("\r", "")
        status = int(m.group(2))
        if check and status:
            raise self.failure(f"guest: {command}: status {status}\n{text}")
        return text if check else (status, text)
