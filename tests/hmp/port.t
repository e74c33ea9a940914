# Port reads and writes reach the devices.
(qemu) i 0x80
portl[0x0080] = 0xffffffff
(qemu) o/w 0xcf8 0x80000000
(qemu) i/w 0xcf8
portl[0x0cf8] = 0x80000000
(qemu) i /w 0xcfc
portl[0x0cfc] = 0x{hex}
(qemu) i/h 0x1f0
portw[0x01f0] = 0xffff
(qemu) i 0x70 .0x0d
portb[0x0071] = 0x80
(qemu) i/b 0x70 . 0x0d
portb[0x0071] = 0x80
(qemu) i/x 0x64
portl[0x0064] = 0x{hex}
(qemu) i
unexpected end of expression
Try "help i" for more information
(qemu) i 0x1234567890
'i' has failed: integer is for 32-bit values
Try "help i" for more information
(qemu) o/b 0x80 0x42
(qemu) o 0x80
unexpected end of expression
Try "help o" for more information
