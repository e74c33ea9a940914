# Looking for bytes and changing them; 0x200000 and more lie at 0x108000.
(qemu) poke 0x180000 0x1a2b3c4d "text\n\x41\0" 0x55
(qemu) xp/16xb 0x180000
0000000000180000: 0x4d 0x3c 0x2b 0x1a 0x74 0x65 0x78 0x74
0000000000180008: 0x0a 0x41 0x00 0x55 0x00 0x00 0x00 0x00
(qemu) find 0x100000 0x100000 0x1a2b3c4d
0x0000000000180000
(qemu) find -p 0 0x1000000 "text" 10
Error: not found
(qemu) find -p /b 0 0x1000000 "text" 10
0x0000000000180004
(qemu) find -n 2 /b 0x180000 16 0
0x000000000018000a
0x000000000018000c
no more than 2 are shown
# over the end of a page, at the end of the range, and just not in it
(qemu) poke /g 0x180ffc 0x0123456789abcdef
(qemu) find /g 0x180000 0x1004 0x0123456789abcdef
0x0000000000180ffc
(qemu) find /g 0x180000 0x1003 0x0123456789abcdef
Error: not found
# several places, by virtual addresses; what is not mapped is left out
(qemu) poke -p 0x108ff0 "needle"
(qemu) find 0x200000 0x8000 "needle"
0x0000000000200ff0
0x0000000000201ff0
0x0000000000202ff0
0x0000000000203ff0
0x0000000000204ff0
0x0000000000207ff0
(qemu) find -p 0x100000 0x1000000 "needle"
0x0000000000108ff0
(qemu) find -p 0x3000000 0x1000 0
Error: not found
# all or nothing
(qemu) poke -p 0xffffff "ab"
Error: there is no RAM at 0x0000000001000000
(qemu) xp/1xb 0xffffff
0000000000ffffff: 0x00
(qemu) poke 0x205000 1
Error: there is no RAM at 0x0000000000205000
(qemu) poke -p 0xfee00020 1
Error: there is no RAM at 0x00000000fee00020
# values and strings that are none
(qemu) poke /b 0x180000 256
Error: 0x100 does not fit into 1 byte
(qemu) poke /b 0x180000 255 (0-128)
(qemu) xp/2db 0x180000
0000000000180000:  -1 -128
(qemu) poke /b 0x180000 (0-129)
Error: 0xffffffffffffff7f does not fit into 1 byte
(qemu) poke 0x180000 "x
Error: the string has no end
(qemu) poke 0x180000 "\q"
Error: what stands behind a backslash is one of n r t 0 \ " ' or xNN
(qemu) poke 0x180000 ""
Error: there are no bytes in that
(qemu) poke 0x180000 $nosuch
Error: unknown register
(qemu) find -n 0 0 16 1
Error: -n takes 1 to 1000
(qemu) find 0 0x2000000000 1
Error: at most 64 GiB are searched
(qemu) poke /b 0x180010 $rip&0xff "a"
(qemu) x/2xb 0x180010
0000000000180010: 0x{hex} 0x61
