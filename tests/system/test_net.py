#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian guest on the network: user mode, both directions, carrier."""
import hashlib
import http.server
import os
import random
import socket
import sys
import threading
import time
import unittest

import vm


class Handler(http.server.BaseHTTPRequestHandler):
    """Gives out one blob."""
    blob = os.urandom(4 << 20)

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.blob)))
        self.end_headers()
        self.wfile.write(self.blob)

    def log_message(self, *args):
        pass


class Sink(threading.Thread):
    """Takes one connection and keeps what comes."""

    def __init__(self):
        super().__init__(daemon=True)
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.sha256 = hashlib.sha256()
        self.start()

    def run(self):
        with self.sock, self.sock.accept()[0] as s:
            while data := s.recv(65536):
                self.sha256.update(data)


def free_port():
    """Not one that the kernel may give to others meanwhile."""
    while True:
        port = random.randrange(16384, 32768)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def banner(port, timeout=10):
    """What a server says first; tried until somebody listens."""
    end = time.monotonic() + timeout * vm.SLOW
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as s:
                s.settimeout(5)
                text = s.recv(100)
                if text:
                    return text
        except OSError:
            pass
        if time.monotonic() > end:
            return b""
        time.sleep(0.1)


class UserNet(unittest.TestCase):
    """One guest for all tests: they are named in the order they run."""

    @classmethod
    def setUpClass(cls):
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                     Handler)
        threading.Thread(target=cls.server.serve_forever,
                         daemon=True).start()
        cls.url = f"http://10.0.2.2:{cls.server.server_port}/"
        cls.ssh = free_port()
        cls.vm = vm.LinuxVm(
            "-netdev", f"user,id=net0,hostfwd=tcp:127.0.0.1:{cls.ssh}-:22",
            "-device", "virtio-net-pci,netdev=net0,id=nic0")
        cls.vm.start()
        try:
            print(f"boot: {cls.vm.boot():.2f} s", file=sys.stderr)
        except BaseException:
            cls.vm.stop()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.vm.stop()
        cls.server.shutdown()
        cls.server.server_close()

    def test_1_dhcp(self):
        self.vm.run("ip link set eth0 up")
        self.vm.run("udhcpc -i eth0 -n -q -t 10 -T 1 >/dev/null 2>&1")
        self.assertIn("inet 10.0.2.15/24", self.vm.run("ip addr show eth0"))
        self.assertIn("default via 10.0.2.2", self.vm.run("ip route"))
        self.assertEqual(self.vm.run("cat /etc/resolv.conf"),
                         "nameserver 10.0.2.3\n")
        self.assertEqual(self.vm.run("cat /sys/class/net/eth0/address"),
                         "52:54:00:12:34:56\n")

    def test_2_download(self):
        text = self.vm.run(f"wget -qO- {self.url} | sha256sum", 60)
        self.assertEqual(text.split()[0],
                         hashlib.sha256(Handler.blob).hexdigest())

    def test_3_upload(self):
        self.vm.run("dd if=/dev/urandom of=/tmp/up bs=1k count=2048 "
                    "2>/dev/null")
        text = self.vm.run("sha256sum /tmp/up")
        sink = Sink()
        self.vm.run(f"nc 10.0.2.2 {sink.port} </tmp/up", 60)
        sink.join(10)
        self.assertEqual(sink.sha256.hexdigest(), text.split()[0])

    def test_4_hostfwd(self):
        self.vm.run("echo 'echo SSH-2.0-guest' >/tmp/banner")
        self.vm.run("nc -ll -p 22 -e sh /tmp/banner >/dev/null 2>&1 &")
        self.assertEqual(banner(self.ssh), b"SSH-2.0-guest\n")

    def test_5_hostfwd_at_run_time(self):
        port = free_port()
        rule = f"tcp:127.0.0.1:{port}"
        self.assertEqual(self.vm.monitor(f"hostfwd_add net0 {rule}-:22"), "")
        self.assertEqual(banner(port), b"SSH-2.0-guest\n")
        self.assertEqual(self.vm.monitor(f"hostfwd_remove net0 {rule}"),
                         f"host forwarding rule for {rule} removed\n")
        with self.assertRaises(OSError):
            socket.create_connection(("127.0.0.1", port), 5)

    def test_6_carrier(self):
        self.assertEqual(
            self.vm.monitor("info network"),
            "nic0: index=0,type=nic,model=virtio-net-pci,"
            "macaddr=52:54:00:12:34:56\n"
            " \\ net0: index=0,type=user,net=10.0.2.0,restrict=off\n")
        for state, carrier in (("off", "0"), ("on", "1")):
            self.vm.monitor(f"set_link nic0 {state}")
            self.vm.run("n=0; while [ $n -lt 100 ] && [ \"$(cat "
                        "/sys/class/net/eth0/carrier)\" != "
                        f"{carrier} ]; do n=$((n+1)); usleep 50000; done; "
                        "[ $n -lt 100 ]")
        self.assertEqual(banner(self.ssh), b"SSH-2.0-guest\n")

    def test_7_down_and_up(self):
        """The driver gives its buffers back and starts anew."""
        self.vm.run("ip link set eth0 down; ip link set eth0 up")
        self.vm.run("ip route add default via 10.0.2.2 dev eth0; true")
        self.assertEqual(banner(self.ssh), b"SSH-2.0-guest\n")

    def test_8_stop_and_cont(self):
        self.vm.monitor("stop")
        self.assertIn("paused", self.vm.monitor("info status"))
        self.vm.monitor("cont")
        text = self.vm.run(f"wget -qO- {self.url} | sha256sum", 60)
        self.assertEqual(text.split()[0],
                         hashlib.sha256(Handler.blob).hexdigest())

    def test_9_power_off(self):
        self.vm.send("poweroff -f\n")
        self.assertEqual(self.vm.wait(20), 0)


if __name__ == "__main__":
    try:
        vm.program()
        vm.debian_kernel()
    except vm.Skip as e:
        print(f"skipped: {e}")
        sys.exit(77)
    unittest.main(verbosity=2)
