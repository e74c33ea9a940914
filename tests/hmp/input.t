# Keys, with a guest that does not listen: what comes up in the keyboard
# controller is read through its ports.
(qemu) info qtree
...
        isa irq 1
        status 0x14, mode 0x65, scan set 2, leds 0
...
(qemu) sendkey a 10
wait: i /b 0x64 ~ = 0x15
(qemu) i /b 0x60
portb[0x0060] = 0x1e
wait: i /b 0x64 ~ = 0x15
(qemu) i /b 0x60
portb[0x0060] = 0x9e
# A chord waits until the keyboard has typed the one before.
(qemu) sendkey ctrl-alt-delete 1
(qemu) sendkey < 1
wait: i /b 0x60 ~ = 0x1d
wait: i /b 0x60 ~ = 0x38
wait: i /b 0x60 ~ = 0xe0
wait: i /b 0x60 ~ = 0x53
wait: i /b 0x60 ~ = 0xe0
wait: i /b 0x60 ~ = 0xd3
wait: i /b 0x60 ~ = 0xb8
wait: i /b 0x60 ~ = 0x9d
wait: i /b 0x60 ~ = 0x56
wait: i /b 0x60 ~ = 0xd6
(qemu) sendkey ctrl-alt-delete-bogus
invalid parameter: bogus
(qemu) sendkey bogus
invalid parameter: bogus
(qemu) sendkey A
invalid parameter: A
(qemu) sendkey a-
invalid parameter: 
(qemu) sendkey 0x1g
invalid parameter: 0x1g
(qemu) sendkey 0x9999999999999999999
(qemu) sendkey 0x999
(qemu) sendkey 0x1e 0
wait: i /b 0x60 ~ = 0x9e
(qemu) sendkey
sendkey: string expected
Try "help sendkey" for more information
(qemu) sendkey a b
invalid char 'b' in expression
Try "help sendkey" for more information
(qemu) sendkey a 10 x
sendkey: extraneous characters at the end of line
Try "help sendkey" for more information
(qemu) sendkey a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q-r-s-t-u-v-w-x-y-z-0-1-2-3-4-5-6
Error: at most 32 keys at a time
# Text, with Shift where it takes one
(qemu) type "aZ\n" 0
wait: i /b 0x60 ~ = 0x1e
wait: i /b 0x60 ~ = 0x9e
wait: i /b 0x60 ~ = 0x2a
wait: i /b 0x60 ~ = 0x2c
wait: i /b 0x60 ~ = 0xac
wait: i /b 0x60 ~ = 0xaa
wait: i /b 0x60 ~ = 0x1c
wait: i /b 0x60 ~ = 0x9c
(qemu) type "aäb"
Error: no key of a US keyboard types byte 0xc3
(qemu) type
type: string expected
Try "help type" for more information
# What waits while the machine is paused is bounded.
(qemu) stop
(qemu) repeat 600 sendkey a
...
Error: {num} keys wait to be typed
...
