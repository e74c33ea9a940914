#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a user gets wrong: one line that names it, status 1, no traces."""
import hashlib
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import vm

MIB = 1 << 20

# Command line, what the line on stderr must say.  {dir} is a folder of
# its own with what Table.setUpClass() makes; {port} a port in use.
CASES = [
    (["-nosuchoption"], "-nosuchoption: invalid option"),
    (["--no-such"], "--no-such: invalid option"),
    (["-m"], "-m: requires an argument"),
    # ---- devices and their properties
    (["-device", "nosuch"], "-device nosuch: 'nosuch' is not"),
    (["-device", ""], "driver"),
    (["-device", "virtio-blk-pci,nosuch=1"], "property 'nosuch' not found"),
    (["-device", "virtio-blk-pci"], "drive property not set"),
    (["-device", "virtio-blk-pci,drive=nosuch"], "'nosuch'"),
    (["-device", "virtio-net-pci,netdev=nosuch"], "'nosuch'"),
    (["-device", "virtio-net-pci,mac=52:54:00"], "52:54:00"),
    (["-device", "virtio-rng-pci,addr=99"], "99"),
    (["-device", "virtio-rng-pci,packed=maybe"], "maybe"),
    (["-device", "virtio-rng-pci,id=a", "-device", "virtio-rng-pci,id=a"],
     "a"),
    # ---- disks
    (["-cloud-init", "ssh-key={dir}/nosuch"],
     "-cloud-init ssh-key={dir}/nosuch: ssh-key: could not read '{dir}/nosuch'"),
    (["-cloud-init", "hots=a"], "property 'hots' not found"),
    (["-cloud-init", "hostname=a", "-cloud-init", "hostname=b"], "'seed' exists already"),
    (["-drive", "file={dir}/nosuch,format=raw,if=virtio"],
     "{dir}/nosuch': No such file"),
    (["-drive", "file={dir}/folder,format=raw,if=virtio"],
     "{dir}/folder' is a directory"),
    (["-drive", "file={dir}/in-use,format=raw,if=virtio"],
     "{dir}/in-use' is in use by vmon pid {holder}"),
    (["-hda", "{dir}/nosuch"], "-hda {dir}/nosuch:"),
    (["{dir}/nosuch"], "{dir}/nosuch': No such file"),
    (["-drive", "file={dir}/disk,format=vmdk"], "'vmdk' is not supported"),
    (["-drive", "file={dir}/disk,format=qcow2"], "not in qcow2 format"),
    (["-drive", "file={dir}/qcow2,if=virtio"], "header of 0 bytes"),
    (["-drive", "file={dir}/q-version,if=virtio"], "version 9"),
    (["-drive", "file={dir}/q-crypt,if=virtio"], "is encrypted"),
    (["-drive", "file={dir}/q-datafile,if=virtio"], "external file"),
    (["-drive", "file={dir}/q-feature,if=virtio"], "not supported: bit 17"),
    (["-drive", "file={dir}/q-corrupt,if=virtio"], "is marked as corrupt"),
    (["-drive", "file={dir}/q-l1,if=virtio"], "L1 table that is too large"),
    (["-drive", "file={dir}/q-size,if=virtio"], "L1 table that is too small"),
    (["-drive", "file={dir}/q-short,if=virtio"], "beyond the end of the file"),
    (["-drive", "file={dir}/q-refs,if=virtio"], "refcounts of 2^7 bits"),
    (["-drive", "file={dir}/q-self,if=virtio,format=qcow2"],
     "{dir}/q-self' is a backing file of itself"),
    (["-drive", "file={dir}/q-loop,if=virtio,format=qcow2"],
     "is a backing file of itself"),
    (["-drive", "file={dir}/q-lost,if=virtio,format=qcow2"],
     "{dir}/nosuch': No such file"),
    (["-drive", "file={dir}/q-folder,if=virtio,format=qcow2"],
     "{dir}/folder' is a directory"),
    (["-drive", "file={dir}/q-over,if=virtio"],
     "format=qcow2 or backing-files=on allows it"),
    (["-drive", "file={dir}/q-over,if=virtio,backing-files=off"],
     "backing-files=on allows it"),
    (["-drive", "file={dir}/q-json,if=virtio,format=qcow2"], "in JSON"),
    (["-drive", "file={dir}/disk,format=raw,if=scsi"], "if=scsi"),
    (["-drive", "file={dir}/disk,format=raw,if=ide,index=1", "-drive",
      "file={dir}/disk,format=raw,if=ide,bus=0,unit=1"],
     "drive with bus=0, unit=1 (index=1) exists"),
    (["-device", "ide-hd"], "drive property not set"),
    (["-device", "ide-cd,bus=ide.2"], "Bus 'ide.2' not found"),
    (["-device", "ide-cd,unit=2"], "bus supports only 2 units"),
    (5 * ["-device", "ide-cd"], "IDE unit is in use"),
    (["-drive", "file={dir}/disk,format=raw,nosuch=1"],
     "property 'nosuch' not found"),
    (["-drive", "file={dir}/disk,format=raw,aio=native"],
     "aio=native needs cache=none"),
    (["-drive", "if=virtio"], "file= is missing"),
    (["-drive", "file={dir}/disk,format=raw,if=none,id=a",
      "-drive", "file={dir}/disk2,format=raw,if=none,id=a"], "a"),
    (["-cdrom", "{dir}/nosuch"], "-cdrom {dir}/nosuch: "),
    (["-fda", "{dir}/disk"], "-fda {dir}/disk:"),
    # ---- machine
    (["-m", "0"], "-m 0:"),
    (["-m", "none"], "'none' is not a size"),
    (["-m", "9000T"], "'9000T' is out of range"),
    (["-smp", "0"], "-smp 0:"),
    (["-smp", "none"], "'none' is not a number"),
    (["-smp", "1000000"], "1000000 vCPUs are too many"),
    (["-smp", "cpus=3,sockets=2,cores=2,threads=1,maxcpus=3"], "topology"),
    (["-machine", "nosuch"], "'nosuch'"),
    (["-machine", "pc,nosuch=1"], "property 'nosuch' not found"),
    (["-accel", "nosuch"], "'nosuch'"),
    (["-cpu", "nosuch"], "'nosuch'"),
    (["-cpu", "qemu64,+nosuch"], "'nosuch'"),
    (["-uuid", "nosuch"], "'nosuch' is not a UUID"),
    (["-rtc", "base=nosuch"], "'nosuch'"),
    (["-d", "nosuch"], "'nosuch'"),
    (["-D", "{dir}/nosuch/log"], "{dir}/nosuch/log"),
    (["-pidfile", "{dir}/nosuch/pid"], "{dir}/nosuch/pid"),
    (["-machine", "pc-i440fx-nosuch"], "'pc-i440fx-nosuch'"),
    (["-machine", "pc,acpi=off"], "'acpi=off' is not supported"),
    (["-machine", "pc,mem-merge=maybe"], "'maybe'"),
    (["-machine", "pc,memory-backend=a"], "'memory-backend'"),
    (["-machine", "pc,kernel-irqchip=nosuch"], "'kernel-irqchip=nosuch'"),
    (["-accel", ""], "''"),
    (["-cpu", ""], "a model is missing"),
    (["-cpu", "max,nosuch=7"], "'nosuch'"),
    (["-cpu", "max,avx=7"], "takes on or off, not '7'"),
    (["-rtc", "clock=nosuch"], "'nosuch'"),
    (["-rtc", "driftfix=nosuch"], "'nosuch'"),
    (["-boot", "order=z"], "Invalid boot device 'z'"),
    (["-boot", "nosuch=1"], "property 'nosuch' not found"),
    (["-msg", "nosuch=on"], "property 'nosuch' not found"),
    (["-action", "reboot=nosuch"], "'nosuch'"),
    (["-device", "virtio-rng-pci,romfile=nosuch"], "romfile=nosuch"),
    # ---- known from QEMU: what to do instead
    (["-vga", "qxl"], "'qxl' is not supported; accepted: none, std"),
    (["-vga", "std", "-device", "VGA,addr=5"], "there is a VGA already"),
    (["-vnc", ":0"], "-vnc :0: no display"),
    (["-spice", "port=1"], "no display"),
    (["-audiodev", "pa,id=a"], "no sound"),
    (["-bios", "{dir}/nosuch"], "cannot open firmware '{dir}/nosuch'"),
    (["-bios", "nosuch"], "cannot open firmware 'nosuch'"),
    (["-bios", "{dir}/folder"], "'{dir}/folder' is no file"),
    (["-bios", "{dir}/empty"], "'{dir}/empty' has 0 bytes"),
    (["-bios", "{dir}/truncated"], "multiple of 64 KiB"),
    (["-bios", "{dir}/huge"], "at most 16 MiB"),
    (["-bios", "{dir}/disk", "-kernel", "{dir}/bzImage"],
     "-bios does not work together with -kernel"),
    (["-pflash", "{dir}/nosuch"], "-pflash {dir}/nosuch: "),
    (["-pflash", "{dir}/huge"], "'pflash0' is no firmware"),
    (["-drive", "if=pflash,unit=1,format=raw,file={dir}/disk"],
     "flash 'pflash1': unit 0, which holds the firmware, is missing"),
    (["-drive", "if=pflash,format=raw,file={dir}/disk"], "add readonly=on"),
    (["-pflash", "{dir}/disk", "-kernel", "{dir}/bzImage"],
     "if=pflash does not work together with -kernel"),
    (["-sandbox", "on"], "not built in yet; leave it out"),
    (["-overcommit", "mem-lock=on"], "not built in"),
    (["-chardev", "null,id=n", "-mon", "n,mode=x"], "readline, control"),
    (["-chardev", "null,id=n", "-mon", "n,mode=control,pretty=1"], "'pretty'"),
    (["-global", "a.b=c"], "give the property with -device"),
    (["-readconfig", "{dir}/disk"], "on the command line"),
    (["-trace", "events=/nonexistent/x"], "Could not open '/nonexistent/x'"),
    (["-usb"], "no USB"),
    (["-blockdev", "driver=file"], "use -drive"),
    (["-gdb", "bogus:"], "-gdb bogus:"),
    (["-incoming", "defer"], "not built in yet"),
    (["-numa", "node"], "leave it out"),
    (["-mem-prealloc"], "leave it out"),
    (["-runas", "nobody"], "setpriv"),
    (["-fsdev", "local,id=a"], "use -drive or the network"),
    (["-object", "iothread,id=a"], "leave it out"),
    (["-object", "memory-backend-ram,id=a,size=1M"], "leave it out"),
    # ---- kernels
    (["-kernel", "{dir}/nosuch"], "{dir}/nosuch': No such file"),
    (["-kernel", "{dir}/folder"], "{dir}/folder"),
    (["-kernel", "{dir}/empty"], "{dir}/empty"),
    (["-kernel", "{dir}/disk"], "{dir}/disk"),
    (["-kernel", "{dir}/truncated"], "{dir}/truncated' is truncated"),
    (["-kernel", "{dir}/bzImage", "-initrd", "{dir}/nosuch"],
     "{dir}/nosuch': No such file"),
    (["-kernel", "{dir}/bzImage", "-initrd", "{dir}/huge", "-m", "128"],
     "{dir}/huge' (314572800 bytes) does not fit"),
    (["-initrd", "{dir}/disk"], "-initrd only works"),
    (["-append", "quiet"], "-append only works"),
    # ---- character devices
    (["-serial", "nosuch:"], "nosuch"),
    (["-monitor", "nonesuch"], "'nonesuch'"),
    (["-serial", "file:{dir}/nosuch/out"], "{dir}/nosuch/out"),
    (["-serial", "file:{dir}/folder"], "{dir}/folder"),
    (["-serial", "/dev/nosuch"], "/dev/nosuch"),
    (["-serial", "chardev:nosuch"], '"nosuch" not found'),
    (["-serial", "tcp:127.0.0.1:{port},server=on,wait=off"],
     "127.0.0.1:{port}: Address already in use"),
    (["-monitor", "tcp:127.0.0.1:{port},server,nowait"],
     "127.0.0.1:{port}: Address already in use"),
    (["-serial", "unix:{dir}/nosuch/s,server=on,wait=off"],
     "{dir}/nosuch/s"),
    (["-monitor", "unix:{dir}/nosuch"], "{dir}/nosuch"),
    (["-chardev", "nosuch,id=a"], "'nosuch' is not"),
    (["-chardev", "null"], "id"),
    (["-chardev", "null,id=a,nosuch=1"], "nosuch"),
    (["-chardev", "null,id=a", "-chardev", "null,id=a"], "a"),
    (["-mon", "chardev=nosuch"], '"nosuch" not found'),
    # ---- network
    (["-netdev", "nosuch,id=a"], "'nosuch'"),
    (["-netdev", "user"], "'id' is missing"),
    (["-netdev", "user,id=a,nosuch=1"], "property 'nosuch' not found"),
    (["-netdev", "user,id=a,hostfwd=tcp:127.0.0.1:{port}-:22"], "{port}"),
    (["-netdev", "user,id=a,hostfwd=nosuch"], "nosuch"),
    # ---- what was set up before goes away again
    (["-serial", "unix:{dir}/sock,server=on,wait=off", "-pidfile",
      "{dir}/pid", "-monitor", "unix:{dir}/nosuch"], "{dir}/nosuch"),
    (["-drive", "file={dir}/disk,format=raw,if=virtio", "-snapshot",
      "-device", "nosuch"], "'nosuch'"),
    (["-daemonize", "-pidfile", "{dir}/pid", "-device", "nosuch"],
     "'nosuch'"),
    (["-daemonize", "-serial", "stdio"], "stdio"),
    (["-daemonize", "-nographic"], "-daemonize"),
]

# Runs what follows where io_uring_setup() fails, as a seccomp filter of a
# container does it: load the number, compare it with 425, EPERM or allow.
WITHOUT_URING = """
import ctypes, os, struct, sys
code = b"".join(struct.pack("HBBI", *i) for i in (
    (0x20, 0, 0, 0), (0x15, 0, 1, 425), (6, 0, 0, 0x50001), (6, 0, 0, 0x7fff0000)))
text = ctypes.create_string_buffer(code)
class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
program = Program(4, ctypes.addressof(text))
prctl = ctypes.CDLL(None, use_errno=True).prctl
assert prctl(38, 1, 0, 0, 0) == 0
assert prctl(22, 2, ctypes.byref(program), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""

# What people write for QEMU every day and what makes no difference here:
# taken without a word.
ACCEPTED = [
    "-vga none -nodefaults -no-user-config",
    "-vga std",
    "-sandbox off -overcommit mem-lock=off -vnc none -audiodev none,id=a",
    "-k en-us -no-hpet -no-fd-bootchk",
    "-boot c",
    "-boot order=dc,menu=on,strict=on,splash-time=10",
    "-rtc base=utc,clock=host,driftfix=slew",
    "-rtc base=2020-02-29T12:00:00",
    "-machine pc,usb=off,vmport=off,dump-guest-core=off,mem-merge=off",
    "-machine pc-i440fx-7.2,hpet=off,smm=off,graphics=off,acpi=on",
    "-machine pc,kernel-irqchip=split",
    "-cpu qemu64,enforce",
    "-cpu max,+avx,-avx2,check,migratable=off",
    "-cpu Nehalem-v1,vendor=AuthenticAMD,model-id=name",
    "-smp 4,sockets=2,cores=2,threads=1 -m size=0.5G",
    "-name guest=name,debug-threads=on",
    "-msg timestamp=off",
    "-action reboot=shutdown,shutdown=pause,panic=none",
    "-device virtio-rng-pci,multifunction=on,addr=5 "
    "-device virtio-rng-pci,addr=5.1,romfile=,rombar=0",
    "-object rng-random,id=r,filename=/dev/urandom "
    "-device virtio-rng-pci,rng=r",
    "-smbios type=1,manufacturer=a -fw_cfg name=opt/a,string=b",
    "-drive file={dir}/disk,format=raw,if=none,id=d -device "
    "virtio-blk-pci,drive=d,scsi=off,config-wce=off,write-cache=on",
    "-drive file={dir}/q-over,format=qcow2,if=virtio",
    "-drive file={dir}/q-over,backing-files=on,if=virtio",
]


def bzimage(length):
    """The least that passes for a kernel of 64 KiB; boot.rst, header."""
    image = bytearray(length)
    sectors = 1
    struct.pack_into("<B", image, 0x1f1, sectors)
    struct.pack_into("<I", image, 0x1f4, (0x10000 - 1024) // 16)
    struct.pack_into("<H", image, 0x1fe, 0xaa55)
    image[0x201] = 0x66
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", image, 0x206, 0x020f)
    struct.pack_into("<B", image, 0x211, 1)
    struct.pack_into("<I", image, 0x214, 0x100000)
    struct.pack_into("<I", image, 0x22c, 0x7fffffff)
    struct.pack_into("<IBBH", image, 0x230, 0x200000, 1, 21, 3)
    struct.pack_into("<I", image, 0x238, 2047)
    struct.pack_into("<Q", image, 0x258, 0x1000000)
    struct.pack_into("<I", image, 0x260, 0x100000)
    return bytes(image)


def digest(path):
    if not path.is_file() or path.stat().st_size > 16 * MIB:
        return None
    return hashlib.sha256(path.read_bytes()).hexdigest()


def contents(folder):
    """Every name below a folder: size, time of change, checksum."""
    return {str(p): (p.lstat().st_size, p.lstat().st_mtime_ns, digest(p))
            for p in sorted(folder.rglob("*"))}


def qcow2(backing=b"", backing_format=b"raw", **changes):
    """An empty image of 1 MiB, with some fields of its header changed."""
    h = dict(magic=0x514649fb, version=3, backing=0, backing_size=0, bits=16,
             size=MIB, crypt=0, l1_size=1, l1=0x30000, table=0x10000, tables=1,
             snapshots=0, snapshots_at=0, incompatible=0, compatible=0,
             autoclear=0, order=4, length=104)
    extension = b""
    if backing:
        extension = struct.pack(">II8s", 0xe2792aca, len(backing_format),
                                backing_format)
        h.update(backing=512, backing_size=len(backing))
    h.update(changes)
    head = struct.pack(">IIQIIQIIQQIIQQQQII", *h.values()) + extension
    image = bytearray(0x40000)
    image[:len(head)] = head
    image[512:512 + len(backing)] = backing
    image[0x10000:0x10008] = struct.pack(">Q", 0x20000)
    image[0x20000:0x20008] = struct.pack(">4H", 1, 1, 1, 1)
    return bytes(image)


class Table(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = pathlib.Path(tempfile.mkdtemp(prefix="vmon-bad-"))
        cls.addClassCleanup(shutil.rmtree, cls.dir)
        (cls.dir / "folder").mkdir()
        (cls.dir / "empty").touch()
        for name in ("disk", "disk2", "in-use"):
            (cls.dir / name).write_bytes(os.urandom(64 << 10))
        (cls.dir / "qcow2").write_bytes(b"QFI\xfb\0\0\0\3" + bytes(1016))
        for name, image in (
                ("version", qcow2(version=9)), ("crypt", qcow2(crypt=2)),
                ("datafile", qcow2(incompatible=4)),
                ("feature", qcow2(incompatible=1 << 17)),
                ("corrupt", qcow2(incompatible=2)),
                ("l1", qcow2(l1_size=1 << 31)), ("size", qcow2(size=1 << 40)),
                ("short", qcow2()[:0x18000]), ("refs", qcow2(order=7)),
                ("self", qcow2(b"q-self", b"qcow2")),
                ("loop", qcow2(b"q-back", b"qcow2")),
                ("back", qcow2(b"q-loop", b"qcow2")),
                ("lost", qcow2(b"nosuch")), ("folder", qcow2(b"folder")),
                ("over", qcow2(b"disk")), ("json", qcow2(b"json:{{}}"))):
            (cls.dir / f"q-{name}").write_bytes(image)
        (cls.dir / "bzImage").write_bytes(bzimage(64 << 10))
        (cls.dir / "truncated").write_bytes(bzimage(20000))
        with open(cls.dir / "huge", "wb") as f:
            f.truncate(300 * MIB)
        cls.sock = socket.create_server(("127.0.0.1", 0))
        cls.addClassCleanup(cls.sock.close)
        cls.port = cls.sock.getsockname()[1]
        cls.holder = vm.Vm(
            "-S", "-drive", f"file={cls.dir}/in-use,format=raw,if=virtio",
            serial=None).start()
        cls.addClassCleanup(cls.holder.stop)

    def run_vm(self, args, prefix=()):
        argv = [*prefix, vm.program(), "-accel", "tcg", "-display", "none",
                *args]
        # A session of its own: what hangs in the background is found.
        p = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             cwd=self.dir, start_new_session=True, text=True)
        try:
            out, err = p.communicate(timeout=20 * vm.SLOW)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            p.communicate()
            self.fail(f"{args}: started")
        return p.returncode, out, err

    def check(self, args, expected, prefix=()):
        values = {"dir": self.dir, "port": self.port,
                  "holder": self.holder.process.pid}
        args = [a.format(**values) for a in args]
        before = contents(self.dir)
        status, out, err = self.run_vm(args, prefix)
        self.assertEqual(status, 1, f"{args}: {err}")
        self.assertEqual(out, "")
        self.assertEqual(err.count("\n"), 1, err)
        self.assertTrue(err.startswith("vmon: "), err)
        self.assertIn(expected.format(**values), err)
        self.assertEqual(contents(self.dir), before)

    def test_table(self):
        for args, expected in CASES:
            with self.subTest(" ".join(args)):
                self.check(args, expected)

    def test_uring_refused(self):
        """A kernel, or a sandbox, without io_uring: what to use instead."""
        image = self.dir / "disk"
        for prefix in ([], [sys.executable, "-c", WITHOUT_URING]):
            args = ["-S", "-drive", f"file={image},format=raw,aio=io_uring",
                    "-serial", "none", "-monitor", "unix:{dir}/nosuch/m"]
            expected = "nosuch/m" if not prefix else "use aio=threads"
            status, _, err = self.run_vm(
                [a.format(dir=self.dir) for a in args], prefix)
            if not prefix and "use aio=threads" in err:
                print("no io_uring here, or not built in:", err.strip())
            else:
                self.assertIn(expected, err)
            self.assertEqual((status, err.count("\n")), (1, 1), err)

    def test_accepted(self):
        for line in ACCEPTED:
            with self.subTest(line):
                args = [a.format(dir=self.dir) for a in line.split()]
                p = subprocess.run(
                    [vm.program(), "-accel", "tcg", "-display", "none", "-S",
                     "-monitor", "stdio", *args], input="quit\n", text=True,
                    capture_output=True, timeout=20 * vm.SLOW, check=False)
                self.assertEqual((p.returncode, p.stderr), (0, ""))

    def test_help(self):
        """Lists on standard output, nothing started."""
        for option, word in (("-cpu", "EPYC"), ("-machine", "pc"),
                             ("-device", "virtio-blk-pci"),
                             ("-accel", "tcg"), ("-d", "guest_errors"),
                             ("-object", "rng-random")):
            with self.subTest(option):
                status, out, err = self.run_vm([option, "help"])
                self.assertEqual((status, err), (0, ""))
                self.assertIn(word, out)

    def test_timestamps(self):
        """-msg puts time and name before what goes to stderr."""
        guest = subprocess.Popen(
            [vm.program(), "-accel", "tcg", "-display", "none", "-S",
             "-monitor", "stdio", "-name", "moon", "-msg",
             "timestamp=on,guest-name=on"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        guest.stdout.read(1)
        guest.terminate()
        _, err = guest.communicate(timeout=20 * vm.SLOW)
        self.assertRegex(err, r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z "
                         r"moon vmon: terminating on signal 15 ")

    def test_holder_goes(self):
        """The image of a VM that was killed is free again."""
        path = self.dir / "killed"
        path.write_bytes(bytes(MIB))
        args = ["-S", "-drive", f"file={path},format=raw,if=virtio"]
        for _ in range(2):
            guest = vm.Vm(*args, serial=None).start()
            guest.process.kill()
            guest.process.wait()
            guest.stop()
        path.unlink()


@unittest.skipUnless(os.getuid() == 0 and shutil.which("setpriv"),
                     "needs root and setpriv")
class Nobody(Table):
    """As a user who may do nothing."""
    NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.dir.chmod(0o755)
        # The build folder may not be open to everybody.
        cls.copy = cls.dir / "vmon"
        shutil.copy(vm.program(), cls.copy)
        cls.copy.chmod(0o755)
        (cls.dir / "readable").write_bytes(bytes(MIB))
        (cls.dir / "readable").chmod(0o644)

    test_table = test_holder_goes = test_accepted = test_help = None
    test_timestamps = test_uring_refused = None

    def run_vm(self, args, prefix=()):
        p = subprocess.run([*self.NOBODY, self.copy, "-display", "none",
                            *args], stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, cwd=self.dir,
                           timeout=20 * vm.SLOW, check=False)
        return p.returncode, p.stdout, p.stderr

    def test_kvm(self):
        if not os.path.exists("/dev/kvm"):
            self.skipTest("no /dev/kvm")
        if os.stat("/dev/kvm").st_mode & 0o006 == 0o006:
            self.skipTest("/dev/kvm is open to everybody")
        self.check(["-accel", "kvm"], "/dev/kvm: permission denied")

    def test_disk(self):
        self.check(["-accel", "tcg", "-drive",
                    "file={dir}/readable,format=raw,if=virtio"],
                   "{dir}/readable': Permission denied")

    def test_serial_file(self):
        self.check(["-accel", "tcg", "-serial", "file:{dir}/new"],
                   "{dir}/new': Permission denied")

    def test_pty(self):
        """A terminal of somebody else."""
        leader, follower = os.openpty()
        self.addCleanup(os.close, leader)
        self.addCleanup(os.close, follower)
        name = os.ttyname(follower)
        os.chmod(name, 0o600)
        self.check(["-accel", "tcg", "-serial", name],
                   f"{name}': Permission denied")


if __name__ == "__main__":
    try:
        vm.program()
    except vm.Skip as e:
        print(f"skipped: {e}")
        sys.exit(77)
    unittest.main(verbosity=1)
