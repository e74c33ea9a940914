# What a serial port of the guest writes and gets, beside its terminal.
args: -serial null -chardev ringbuf,id=rb0
(qemu) serial tail
(qemu) o /b 0x3f8 0x68
(qemu) o /b 0x3f8 0x69
(qemu) serial tail
hi
(qemu) serial expect "h+i"
hi
# each session looks on from where it was
(qemu) serial expect "hi" 0.05
Error: that was not written in 0.05 s
(qemu) o /b 0x3f8 0x0d
(qemu) o /b 0x3f8 0x0a
(qemu) o /b 0x3f8 0x1b
(qemu) o /b 0x3f8 0x3e
(qemu) serial expect "^.>$" 1
>
(qemu) serial tail
hi
>
(qemu) serial tail 1
>
(qemu) chardev-change serial0 null
(qemu) serial tail 1
>
# input, as fast as it is taken
(qemu) o /b 0x3fa 1
(qemu) serial send "ab\n"
(qemu) i /b 0x3f8
portb[0x03f8] = 0x61
(qemu) i /b 0x3f8
portb[0x03f8] = 0x62
(qemu) i /b 0x3f8
portb[0x03f8] = 0x0a
(qemu) serial -c serial0 expect "(" 1
Error: '(': {any}
(qemu) serial expect
Error: expect takes a regular expression
(qemu) serial expect a b
Error: expect takes seconds, not 'b'
(qemu) serial send
Error: send takes a text
(qemu) serial tail x
Error: tail takes a number of lines
(qemu) serial nosuch
Error: 'nosuch' is not what it does; accepted: send, expect, tail
(qemu) serial -c nosuch tail
Error: Chardev 'nosuch' not found
(qemu) serial -c compat_monitor0 tail
Error: 'compat_monitor0' is not connected to a port of the guest
(qemu) serial -c rb0 tail
Error: 'rb0' is not connected to a port of the guest
