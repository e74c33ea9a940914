# A VGA, which this guest does not touch: nothing is on its screen.
args: -vga std -nodefaults
(qemu) info screen
{re:}
{re:}
{re:}
{re:}
{re:}
{re:}
{re:}
{re:}
{re:}
{re:}
{re:}
{re:}
{re:}
{re:}
{re:}
{re:}
{re:}
{re:}
{re:}
{re:}
{re:}
{re:}
{re:}
{re:}
{re:}
(qemu) info screen -j
{"columns": 80, "rows": 25, "blank": false, "lines": [{re:("", ){24}""}], "cursor": {"row": 0, "column": 0}}
(qemu) xp /4xh 0xb8000
00000000000b8000: 0x0720 0x0720 0x0720 0x0720
# the cursor: row 2, column 10; and switched off
(qemu) o /b 0x3d4 0xf
(qemu) o /b 0x3d5 0xaa
(qemu) info screen -j
{any} "cursor": {"row": 2, "column": 10}}
(qemu) o /h 0x3d4 0x200a
(qemu) info screen -j
{any}[{any}]}
# attribute controller: the picture off
(qemu) i /b 0x3da
portb[0x03da] = {any}
(qemu) o /b 0x3c0 0
(qemu) info screen -j
{any}"blank": true,{any}
# graphics
(qemu) o /h 0x3ce 0x0f06
(qemu) info screen
Error: the screen is in a graphics mode
(qemu) info qtree
...
{any}dev: VGA, id ""
...
(qemu) info pci
...
{any}Bus  0, device   2, function 0:
    VGA controller: PCI device 1234:1111
...
