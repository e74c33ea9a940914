# Offering the gdb stub; tests/gdb talks to it.
(qemu) gdbserver none
Disabled gdbserver
(qemu) gdbserver unix:$TMP/gdb,server=on,wait=off
Waiting for gdb connection on device 'unix:{any}/gdb,server=on,wait=off'
(qemu) info chardev
{any}
gdb: filename=disconnected:unix:{any}/gdb,server=on
(qemu) gdbserver null
Waiting for gdb connection on device 'null'
(qemu) gdbserver tcp:127.0.0.1:0
Waiting for gdb connection on device 'tcp:127.0.0.1:0'
(qemu) gdbserver none
Disabled gdbserver
(qemu) gdbserver none
Disabled gdbserver
(qemu) gdbserver bogus:
{any}
Could not open gdbserver on device 'bogus:'
(qemu) info status
VM status: running
