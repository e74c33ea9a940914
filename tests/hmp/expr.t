# print: QEMU's grammar and words; starts decimal, formats stick.
(qemu) p 1+2
3
(qemu) p 100+200
300
(qemu) print 100+200
300
(qemu) p/x 255
0xff
(qemu) p 100+200
0x12c
(qemu) p/x 0
0
(qemu) p/o 8
010
(qemu) p/u -1
18446744073709551615
(qemu) p/d -1
-1
(qemu) p/c 65
'A'
(qemu) p/c 10
'\n'
(qemu) p/c 0x141
'\x141'
(qemu) p/c 200
'\xc8'
(qemu) p/i 5
5
(qemu) p/xb 0x1234
0x1234
(qemu) p/5x 1
0x1
(qemu) p/dx 255
0xff
(qemu) p/xd 255
255
# x and xp have a format of their own
(qemu) xp/1c 0x108005
0000000000108005: '0' '6' '/' '2'
(qemu) p 17
17
(qemu) p 1+4&4
5
(qemu) p -7/2
-3
(qemu) p $? + 1
-2
(qemu) p 0xffffffffffffffff
-1
(qemu) p (0-9223372036854775807-1)/(0-1)
-9223372036854775808
(qemu) p 7/0
division by zero
Try "help p" for more information
(qemu) p 1 2
print|p: extraneous characters at the end of line
Try "help p" for more information
(qemu) p 1<<4
print|p: extraneous characters at the end of line
Try "help p" for more information
(qemu) p (1+2
')' expected
Try "help p" for more information
(qemu) p
unexpected end of expression
Try "help p" for more information
(qemu) p/s 1
invalid char in format: 's'
Try "help p" for more information
(qemu) p $nosuch
unknown register
Try "help p" for more information
(qemu) p $RIP
unknown register
Try "help p" for more information
# registers: QEMU's names, and the ones people expect
(qemu) p/x $eax
0xfeedfacecafebeef
(qemu) p/x $rax
0xfeedfacecafebeef
(qemu) p/x $ax
0xbeef
(qemu) p/x $ah
0xbe
(qemu) p/x $al
0xef
(qemu) p/x $r15
0x123456789abcdef
(qemu) p/x $r15d
0x89abcdef
(qemu) p/d $ecx
-2
(qemu) p/x $cs
0x8
(qemu) p/x $cs.base
0
(qemu) p/x $cs.limit
0xffffffffffffffff
(qemu) p/x $eip & ~0xf
0x100100
(qemu) p $eip-$rip
0
(qemu) p/x $pc & ~0xf
0x100100
(qemu) p/x $rflags
0x46
(qemu) p/x $eflags
0x46
(qemu) p/x $cr3
0x109000
(qemu) p/x $cr0
0x80010033
(qemu) p/x $efer & ~1
0xd00
(qemu) p/x $gdt.limit
0x17
(qemu) p $sp - $esp
0
(qemu) p/x $xmm0
0xfeedfacecafebeef
(qemu) p/x $xmm0.h
0
(qemu) p/x $ymm0
0xfeedfacecafebeef
(qemu) p/x $ymm15.3
0
(qemu) p $xmm32
unknown register
Try "help p" for more information
(qemu) p $xmm00
unknown register
Try "help p" for more information
(qemu) p/x $st0
0x8000000000000000
(qemu) p/x $st0.exp
0x3fff
(qemu) p $st8
unknown register
Try "help p" for more information
(qemu) p/x $mxcsr
0x1f80
(qemu) p/x $fcw
0x37f
(qemu) p/x $cr4
0x620
(qemu) p/x $fs_base
0
(qemu) p (0-9223372036854775807-1)%(0-1)
0
# a dump's format is not print's: x stays as it was
(qemu) x/1xw 0x108000
0000000000108000: 0x00e05bea
(qemu) p/d 7
7
(qemu) x 0x108000
0000000000108000: 0x00e05bea
(qemu) x/1i 0x108038
0x00108038:  c3                       retq     
(qemu) p 100+200
300
# C's operators, when asked for
(qemu) p 1<<4
print|p: extraneous characters at the end of line
Try "help p" for more information
(qemu) set expr c
(qemu) p/d 1+4&4
4
(qemu) p 1<<4|3
19
(qemu) p 6&3*2
6
(qemu) p 1|2^3&2
1
(qemu) p 7-2-1
4
(qemu) p 2+3*4<<1
28
(qemu) p 1<2==1&&3!=4||0
1
(qemu) p !0+!5+~0
0
(qemu) p -8>>1
-4
(qemu) p 1<<64
0
(qemu) p -1>>100
-1
(qemu) p 3>=3 && 2<=1
0
(qemu) p 1<
unexpected end of expression
Try "help p" for more information
(qemu) pmemsave 0 1<<12 $TMP/x
(qemu) set expr pascal
Error: expected 'c' or 'qemu'
(qemu) set expr qemu
(qemu) p 1+4&4
5
