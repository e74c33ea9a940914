#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong in QEMU's monitor and not here: a defect, a test.

    defects.py VMON GUEST

tests/hmp/session.py shows the same of clients that half-close or stop reading
in more forms, tests/qmp/oob.q that queries need not wait.
"""
import os
import re
import shutil
import socket
import sys
import tempfile

import run
import peer

BAD_LINES = (  # they fail, and say so
    "nosuch", "info nosuch", "stop now", "cpu 99", "cpu -1", "p 1/0", "p $nosuch", "p (1",
    "xp/s 0", "memsave 0 16", "pmemsave 0 16 /nonexistent/x", "set_link nosuch on",
    "netdev_del nosuch", "device_del nosuch", "device_add nosuch", "drive_del nosuch",
    "object_del nosuch", "chardev-remove nosuch", "ringbuf_read nosuch 1", "balloon 1G",
    "block_resize nosuch 1", "commit nosuch", "watchdog_action nosuch", "sendkey nosuch",
    "gva2gpa 0x7fffffffffffffff", "xp/1xw 0x7ffffffff000", "info block -", "delvm nosuch",
    "loadvm nosuch", "savevm \"open", "logfile /nonexistent/x", "info registers 99")


def answer(vm, line):
    return "\n".join(vm.command(line)[0])


def division_ends_the_process(vm, tmp):
    for line in ("p (0-9223372036854775807-1)/(0-1)", "p (0-9223372036854775807-1)%(0-1)",
                 "x/1xb (0-9223372036854775807-1)/(0-1)", "p 1/0", "p 1%0"):
        answer(vm, line)
    peer.check(answer(vm, "p 6*7") == "42", "it lives")


def errors_go_to_another_stream(vm, tmp):
    said = vm.said()
    answer(vm, "netdev_add user,id=e1")
    for line, text in (("netdev_add user,id=e1", "Duplicate ID"),
                       ("device_add virtio-rng-pci,id=1bad", "1bad"),
                       ("logfile \"open", "quot"),
                       ("logfile \"x\\q\"", "escape")):
        got = answer(vm, line)
        peer.check(text in got, "%s: %r" % (line, got))
    peer.check(vm.said() == said, "its own streams have %r" % vm.said())
    answer(vm, "netdev_del e1")


def commands_are_lost_when_the_client_leaves(vm, tmp):
    for state, line in (("paused", b"stop\n"), ("running", b"cont\n")) * 10:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(os.path.join(tmp, "second"))
            s.sendall(line)
        run.wait_for(vm, "info status ~ " + state)


def a_second_client_hears_nothing(vm, tmp):
    """With clients=1, too: it is told, at once."""
    with socket.socket(socket.AF_UNIX) as a, socket.socket(socket.AF_UNIX) as b:
        for s in (a, b):
            s.settimeout(run.TIMEOUT)
            s.connect(os.path.join(tmp, "one"))
            got = b""
            while not got.endswith(run.PROMPT):
                more = s.recv(4096)
                got += more
                if not more:
                    break
            if s is a:
                peer.check(got.startswith(b"QEMU"), "first client: %r" % got)
            else:
                peer.check(got == b"too many clients\r\n", "second client: %r" % got)


def echo_grows_with_the_square(vm, tmp):
    line = "p " + "+".join("1" * 2000)
    vm.sock.sendall(line.encode() + b"\n")
    got = vm.read_prompt()
    peer.check(b"2000" in got, "a long line: %r" % got[-100:])
    peer.check(len(got) < 2 * len(line) + 100, "%d bytes for a line of %d" % (len(got), len(line)))


def output_is_kept_without_bound(vm, tmp):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(os.path.join(tmp, "second"))
        peer.is_stopped_from_sending(s, vm.proc)
        peer.check(answer(vm, "p 1") == "1", "another session")


def a_path_after_a_number_is_a_division(vm, tmp):
    path = os.path.join(tmp, "saved")
    peer.check(answer(vm, "pmemsave 0x100000 4096 " + path) == "", "pmemsave")
    peer.check(os.path.getsize(path) == 4096, "its file")
    peer.check(answer(vm, "memsave 0x100000 4096 " + path) == "", "memsave")
    peer.check(answer(vm, "p 4096/2") == "2048", "a division")


def formats_do_not_extend_the_sign(vm, tmp):
    got = answer(vm, "xp/1dw 0x100000") + answer(vm, "xp/4db 0x100000")
    peer.check(re.search(r"-\d+", got), "no negative number: " + got)
    for size, bits in (("b", 8), ("h", 16), ("w", 32)):
        u, d = (int(answer(vm, "xp/1%s%s 0x100000" % (f, size)).split()[-1]) for f in "ud")
        peer.check(d == (u - (1 << bits) if u >> (bits - 1) else u), "%s: %d %d" % (size, u, d))


def failure_looks_like_success(vm, tmp):
    answer(vm, "set status on")
    for line in BAD_LINES:
        got, _ = vm.command(line)
        peer.check(len(got) >= 2 and got[-1].startswith("[err "), "%s: %r" % (line, got))
        peer.check("\0" not in "".join(got), "%s: a NUL" % line)
    for line in ("p 1", "info status", "stop", "cont", "info name"):
        got, _ = vm.command(line)
        peer.check(got[-1].startswith("[ok "), "%s: %r" % (line, got))
    answer(vm, "set status off")


def strings_are_cut_without_a_word(vm, tmp):
    for line in ("chardev-add null,id=" + "a" * 1500, "ringbuf_write c0 " + "b" * 1500):
        got = answer(vm, line)
        peer.check("limited to" in got, "%s: %r" % (line[:30], got))
    peer.check("aaa" not in answer(vm, "info chardev"), "an id was cut")
    peer.check(answer(vm, "ringbuf_read c0 4096") == "", "a string was cut")


def huge_counts_print_nothing_or_block(vm, tmp):
    got = answer(vm, "xp/1000000000xb 0x100000")
    peer.check("too large" in got, "xp: %r" % got)
    peer.check("0000000000100000:" in answer(vm, "xp/100000xb 0x100000"), "a count that is not")


def flags_have_an_order(vm, tmp):
    for line in ("info mtree -f -d", "info mtree -d -f"):
        peer.check("unsupported" not in answer(vm, line), line)
        peer.check("extraneous" not in answer(vm, line), line)


def formats_belong_to_all(vm, tmp):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(run.TIMEOUT)
        s.connect(os.path.join(tmp, "second"))
        s.sendall(b"p/x 255\n")
        got = b""
        while b"0xff\r\n" not in got:
            got += s.recv(4096)
        peer.check(answer(vm, "p 16") == "16", "print: " + answer(vm, "p 16"))
    answer(vm, "x/2i 0x100000")
    peer.check(re.fullmatch(r"port[bwl]\[0x0070\] = 0x[0-9a-f]+", answer(vm, "i 0x70")), "i after x/i")
    peer.check(answer(vm, "p 16") == "16", "print after x/i")


DEFECTS = (division_ends_the_process, errors_go_to_another_stream,
           commands_are_lost_when_the_client_leaves, a_second_client_hears_nothing,
           echo_grows_with_the_square, output_is_kept_without_bound,
           a_path_after_a_number_is_a_division, formats_do_not_extend_the_sign,
           failure_looks_like_success, strings_are_cut_without_a_word,
           huge_counts_print_nothing_or_block, flags_have_an_order, formats_belong_to_all)


def main():
    vmon, guest = sys.argv[1:3]
    if not os.access(vmon, os.X_OK):
        print("skipped: there is no", vmon)
        return 77
    tmp = tempfile.mkdtemp(prefix="vmon-defects-")
    bad, vm = 0, None
    try:
        vm = run.Vmon(vmon, ["-m", "16", "-kernel", guest, "-chardev",
                             "ringbuf,id=c0,size=4096", "-monitor",
                             "unix:%s/second,server=on,wait=off" % tmp, "-monitor",
                             "unix:%s/one,server=on,wait=off,clients=1" % tmp], tmp)
        for test in DEFECTS:
            try:
                test(vm, tmp)
            except (run.Failure, OSError) as e:
                print("%s: %s" % (test.__name__, e))
                bad += 1
        vm.close()
        vm = None
    except run.Failure as e:
        print(e)
        bad += 1
    finally:
        if vm and vm.proc.poll() is None:
            vm.proc.kill()
            vm.proc.wait()
        shutil.rmtree(tmp)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
