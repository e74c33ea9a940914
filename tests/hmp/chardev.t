# Character devices at run time.
args: -chardev ringbuf,id=rb0,size=16 -serial chardev:rb0
(qemu) chardev-add ringbuf,id=rb1,size=16
(qemu) chardev-add ringbuf,id=rb1
Error: Duplicate ID 'rb1' for chardev
(qemu) chardev-add bogus,id=x
Error: 'bogus' is not a valid char driver name
(qemu) chardev-add null
Error: chardev: no id specified
(qemu) chardev-add pty,id=p1,path=$TMP/link
char device redirected to /dev/pts/{num} (label p1)
(qemu) chardev-add socket,id=s1,path=$TMP/sock,server=on
(qemu) info chardev
...
rb1: filename=ringbuf
p1: filename=pty:/dev/pts/{num}
s1: filename=disconnected:unix:$TMP/sock,server=on
(qemu) ringbuf_write rb1 hello
(qemu) ringbuf_write rb1 "a\\b\n"
(qemu) ringbuf_read rb1 100
helloa\\b

(qemu) ringbuf_read rb1 100

(qemu) ringbuf_write rb1 0123456789abcdefghij
(qemu) ringbuf_read rb1 4
4567
(qemu) ringbuf_read rb1 100
89abcdefghij
(qemu) ringbuf_read nosuch 1
Error: Device 'nosuch' not found
(qemu) ringbuf_read p1 1
Error: p1 is not a ringbuf device
(qemu) ringbuf_write p1 x
Error: p1 is not a ringbuf device
(qemu) chardev-send-break rb0
(qemu) chardev-send-break nosuch
Error: Chardev 'nosuch' not found
(qemu) chardev-remove rb0
Error: Chardev 'rb0' is busy
(qemu) chardev-remove rb1
(qemu) chardev-remove p1
(qemu) chardev-remove s1
(qemu) chardev-remove rb1
Error: Chardev 'rb1' not found
(qemu) chardev-change rb0 pty,path=$TMP/console
char device redirected to /dev/pts/{num} (label rb0)
(qemu) chardev-change rb0 pty,path=$TMP/console
char device redirected to /dev/pts/{num} (label rb0)
(qemu) chardev-change rb0 bogus
Error: 'bogus' is not a valid char driver name
(qemu) chardev-change rb0 file,path=/nonexistent/x
Error: Could not open '/nonexistent/x': No such file or directory
(qemu) chardev-change rb0 null,id=other
Error: the id stays 'rb0' and is not given again
(qemu) chardev-change rb0 null,mux=on
Error: Mux device hotswap not supported yet
(qemu) chardev-change rb0 file
Error: chardev: file: no filename given
(qemu) chardev-change compat_monitor0 null
Error: Chardev user does not support chardev hotswap
(qemu) chardev-change nosuch null
Error: Chardev 'nosuch' not found
(qemu) chardev-change rb0
chardev-change: string expected
Try "help chardev-change" for more information
(qemu) info chardev
...
rb0: filename=pty:/dev/pts/{num}
...
(qemu) chardev-change rb0 ringbuf,size=16
(qemu) ringbuf_write rb0 back
(qemu) ringbuf_read rb0 100
back
(qemu) chardev-remove rb0
Error: Chardev 'rb0' is busy
(qemu) o/b 0x3f8 0x41
(qemu) chardev-change rb0 ringbuf,size=32
(qemu) o/b 0x3f8 0x42
(qemu) ringbuf_read rb0 100
B
