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
# one that was there stays, also when it is called like ours
(qemu) chardev-add null,id=gdb
(qemu) gdbserver chardev:gdb
Waiting for gdb connection on device 'chardev:gdb'
(qemu) gdbserver chardev:compat_monitor0
Device 'compat_monitor0' is in use
Could not open gdbserver on device 'chardev:compat_monitor0'
(qemu) info chardev
compat_monitor0: filename={any}
gdb: filename=null
(qemu) chardev-remove gdb
# one that cannot be made leaves nothing
(qemu) gdbserver unix:/nonexistent/gdb,server=on,wait=off
{any}
Could not open gdbserver on device 'unix:/nonexistent/gdb,server=on,wait=off'
(qemu) gdbserver mon:null
Waiting for gdb connection on device 'mon:null'
(qemu) gdbserver none
Disabled gdbserver
(qemu) info chardev
compat_monitor0: filename={any}
(qemu) gdbserver bogus:
{any}
Could not open gdbserver on device 'bogus:'
(qemu) info status
VM status: running
