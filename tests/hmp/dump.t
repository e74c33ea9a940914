# Memory in every format.  Words of 16 bytes at 0x108000 as QEMU showed them.
(qemu) x/2i $eip
0x00100102:  eb fc                    jmp      0x100100
0x00100104:  {any}
(qemu) x/8i 0x108038
0x00108038:  c3                       retq     
0x00108039:  cc                       int3     
0x0010803a:  eb 07                    jmp      0x108043
0x0010803c:  48 b8 01 02 03 04 05 06  movabsq  $0x807060504030201, %rax
0x00108044:  07 08
0x00108046:  f4                       hlt      
0x00108047:  06                       .byte    0x06
0x00108048:  00 00                    addb     %al, (%rax)
0x0010804a:  00 00                    addb     %al, (%rax)
# the size has no say in /i, and sticks from before
(qemu) xp/2i 0x10803c
0x0010803c:  48 b8 01 02 03 04 05 06  movabsq  $0x807060504030201, %rax
0x00108044:  07 08
0x00108046:  f4                       hlt      
(qemu) x/0i 0x108038
0x00108038:  c3                       retq     
(qemu) x/16xb 0x108000
0000000000108000: 0xea 0x5b 0xe0 0x00 0xf0 0x30 0x36 0x2f
0000000000108008: 0x32 0x33 0x2f 0x39 0x39 0x00 0xfc 0x91
(qemu) xp/16xb 0x108000
0000000000108000: 0xea 0x5b 0xe0 0x00 0xf0 0x30 0x36 0x2f
0000000000108008: 0x32 0x33 0x2f 0x39 0x39 0x00 0xfc 0x91
(qemu) xp/9xb 0x108000
0000000000108000: 0xea 0x5b 0xe0 0x00 0xf0 0x30 0x36 0x2f
0000000000108008: 0x32
(qemu) xp 0x108000
0000000000108000: 0xea
(qemu) xp/12xh 0x108000
0000000000108000: 0x5bea 0x00e0 0x30f0 0x2f36 0x3332 0x392f 0x0039 0x91fc
0000000000108010: 0x0000 0x0000 0x0000 0x0000
(qemu) xp /6xw 0x108000
0000000000108000: 0x00e05bea 0x2f3630f0 0x392f3332 0x91fc0039
0000000000108010: 0x00000000 0x00000000
(qemu) xp/3xg 0x108000
0000000000108000: 0x2f3630f000e05bea 0x91fc0039392f3332
0000000000108010: 0x0000000000000000
(qemu) xp/2xL 0x108000
0000000000108000: 0x2f3630f000e05bea 0x91fc0039392f3332
(qemu) xp/6uw 0x108000
0000000000108000:   14703594  792080624  959394610 2449211449
0000000000108010:          0          0
# better than QEMU: every size of d has a sign
(qemu) xp/6dw 0x108000
0000000000108000:   14703594  792080624  959394610 -1845755847
0000000000108010:          0          0
(qemu) xp/4db 0x108000
0000000000108000: -22  91 -32   0
(qemu) xp/5dh 0x108000
0000000000108000: 23530   224 12528 12086 13106
(qemu) xp/3dg 0x108020
0000000000108020:                   -2                    1
0000000000108030: {any}
(qemu) xp/9ub 0x108000
0000000000108000: 234  91 224   0 240  48  54  47
0000000000108008:  50
(qemu) xp/9ob 0x108000
0000000000108000: 0352 0133 0340   0 0360 060 066 057
0000000000108008: 062
(qemu) xp/5oh 0x108000
0000000000108000: 055752   0340 030360 027466 031462
(qemu) xp/6ow 0x108000
0000000000108000:   070055752 05715430360 07113631462 022177000071
0000000000108010:           0           0
(qemu) xp/3og 0x108000
0000000000108000: 0274661417000070055752 01107740003447113631462
0000000000108010:                      0
(qemu) xp/5ug 0x108020
0000000000108020: 18446744073709551614                    1
...
(qemu) xp/8cb 0x108030
0000000000108030: 'a' '\'' '\\' '\n' '\r' '~' '\x7f' ' '
(qemu) xp/4cw 0x108000
0000000000108000: '\xea' '[' '\xe0' '\x00' '\xf0' '0' '6' '/' '2' '3' '/' '9' '9' '\x00' '\xfc' '\x91'
(qemu) xp/2x 0x108000
0000000000108000: 0x00e05bea 0x2f3630f0
(qemu) x/0x $sp
(qemu) x/4x$sp
invalid char in format: '$'
Try "help x" for more information
(qemu) x/1xg $sp+8-8
{hex}: 0x{hex}
# across pages of different rights, and where nothing is
(qemu) x/8xb 0x207ffc
0000000000207ffc: Cannot access memory
(qemu) x/2xw 0x200ffc
0000000000200ffc: 0x{hex} 0x00e05bea
(qemu) x/4xw 0x205000
0000000000205000: Cannot access memory
(qemu) x/2xw 0x206000
0000000000206000: Cannot access memory
(qemu) x/2i 0x206000
0x00206000: unable to read memory
(qemu) xp/4xw 0xfffffffffffff000
fffffffffffff000: Cannot access memory
(qemu) xp/4xw 0x50000000
0000000050000000: Cannot access memory
(qemu) x/99999999999x 0xfffffffffffffff0
Error: count 2147483647 is too large; at most 262144 bytes are shown at once
(qemu) xp/100000i 0x108000
Error: count 100000 is too large; at most 4096 instructions are shown at once
(qemu) x
unexpected end of expression
Try "help x" for more information
(qemu) x/q 1
invalid char in format: 'q'
Try "help x" for more information
(qemu) x/ 4x $rip
x: extraneous characters at the end of line
Try "help x" for more information
(qemu) x/-1x 0
invalid char in format: '-'
Try "help x" for more information
(qemu) sum 0x108000 16
55132
(qemu) sum 0x108000 0x10
55132
(qemu) sum 1
unexpected end of expression
Try "help sum" for more information
(qemu) sum 0 0xffffffff
Error: size is too large; at most 16777216 bytes
