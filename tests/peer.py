# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests share that talk to vmon over its sockets."""
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time

TIMEOUT = 60
PROMPT = b"(qemu) "
# The same tests hold on every engine.
ACCEL = ["-accel", os.environ["VMON_ACCEL"]] if os.environ.get("VMON_ACCEL") else []


class Failure(Exception):
    pass


def check(ok, what):
    if not ok:
        raise Failure(what)


def connect(path, proc=None):
    """A socket, once somebody listens; `proc` is who shall."""
    end = time.time() + TIMEOUT
    while True:
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(TIMEOUT)
        try:
            s.connect(path)
            return s
        except OSError as e:
            s.close()
            if (proc and proc.poll() is not None) or time.time() > end:
                raise Failure("vmon does not answer: %s" % e) from e
            time.sleep(0.01)


def is_stopped_from_sending(sock, proc):
    """Commands without end: input is refused at last, and nothing piles up."""
    def resident():
        with open("/proc/%d/statm" % proc.pid) as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    before = resident()
    sock.setblocking(False)
    end, sent = time.monotonic() + 1, 0
    while time.monotonic() < end and sent < 4 << 20:
        try:
            sent += sock.send(b"help\n" * 1000)
        except BlockingIOError:
            time.sleep(0.01)
    check(sent < 4 << 20, "input is taken without bound")
    check(resident() - before < 32 << 20, "it holds %d bytes more" % (resident() - before))
    sock.settimeout(TIMEOUT)


@contextlib.contextmanager
def machine(vmon, guest, *args):
    """A paused vmon named vm1, which is killed if the test leaves it."""
    with tempfile.TemporaryFile() as log:
        proc = subprocess.Popen(
            [vmon, "-nodefaults", "-display", "none", "-S", "-m", "16", "-kernel", guest,
             "-name", "vm1", *args] + ACCEL, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield proc
        finally:
            if proc.poll() is None:
                proc.kill()
                proc.wait()


def main(play, prefix):
    """play(vmon, guest, scratch directory) by the command line; exit status."""
    vmon, guest = sys.argv[1:3]
    if not os.access(vmon, os.X_OK):
        print("skipped: there is no", vmon)
        return 77
    try:
        with tempfile.TemporaryDirectory(prefix=prefix) as tmp:
            play(vmon, guest, tmp)
    except Failure as e:
        print(e)
        return 1
    return 0
