# Memory to files; an absolute path needs no quotes.
(qemu) pmemsave 0x108000 16 $TMP/p.bin
(qemu) memsave 0x201000 4096 "$TMP/v.bin"
(qemu) memsave 0x205000 16 $TMP/x
Error: Invalid addr 0x0000000000205000/size 16 specified
(qemu) memsave 0x204ff8 16 $TMP/x
Error: Invalid addr 0x0000000000205000/size 8 specified
(qemu) pmemsave 0x100000000 16 $TMP/hole.bin
(qemu) pmemsave 0 4096 /nonexistent/x
Error: Could not open '/nonexistent/x': No such file or directory
(qemu) pmemsave 0 4096
pmemsave: filename expected
Try "help pmemsave" for more information
(qemu) memsave 0x1000
unexpected end of expression
Try "help memsave" for more information
