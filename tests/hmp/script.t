# Sequences, filters and repetition, which a session has to ask for.
args: -name vm1
(qemu) p 1; p 2
print|p: extraneous characters at the end of line
Try "help p" for more information
(qemu) set
abbrev  off  {any}
events  off  {any}
expr    qemu {any}
log     off  {any}
pager   off  {any}
status  off  {any}
syntax  off  {any}
time    off  {any}
width   off  {any}
(qemu) set bogus on
Error: there is no setting 'bogus'; 'set' lists them
(qemu) set syntax maybe
Error: expected 'on' or 'off', not 'maybe'
(qemu) set width
Error: expected 2 to 1000 columns, or 'off'
(qemu) set width 1
Error: expected 2 to 1000 columns, or 'off'
(qemu) system_po
unknown command: 'system_po'
did you mean 'system_powerdown'?
(qemu) set abbrev on
(qemu) inf na
vm1
(qemu) info st
unknown command: 'info st'
(qemu) pr 1+1
2
(qemu) sys
unknown command: 'sys'
...
(qemu) migr
unknown command: 'migr'
...
(qemu) set abbrev off
(qemu) pr 1+1
unknown command: 'pr'
...
(qemu) set pager 1
Error: expected 'on', 'off' or 2 to 1000 rows
(qemu) set pager on
(qemu) help info block
info block {any}
(qemu) help
...
x {any}
xp {any}
(qemu) set pager off
(qemu) set width 132
(qemu) set
...
width   132  {any}
(qemu) set width off
(qemu) set syntax on
(qemu) p 1; p 2 # three
1
2
(qemu) # nothing
(qemu) ;;
(qemu) p 1 && p 2
1
2
(qemu) nosuch && p 2; p 3
unknown command: 'nosuch'
3
(qemu) set_link x on && p 1 && p 2
Error: Device 'x' not found
(qemu) info status | count
1
(qemu) help | grep -i "PHYSICAL MEM" | grep -v pmem | head 1
{any}physical memory{any}
(qemu) help info | tail 1
info virtqueue {any}
(qemu) help info | head 0
(qemu) info name | nosuch
unknown filter 'nosuch'; there are grep, head, tail, count and diff
(qemu) xp/4xb 0x180000 | diff
kept to compare with the next answer: 1 lines
(qemu) xp/4xb 0x180000 | diff
(qemu) xp/40xb 0x180000 | diff
kept to compare with the next answer: 5 lines
(qemu) poke /b 0x180008 1; poke /b 0x180018 2; poke /b 0x180000 3
(qemu) xp/40xb 0x180000 | diff
-0000000000180000: 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x00
-0000000000180008: 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x00
+0000000000180000: 0x03 0x00 0x00 0x00 0x00 0x00 0x00 0x00
+0000000000180008: 0x01 0x00 0x00 0x00 0x00 0x00 0x00 0x00
-0000000000180018: 0x00 0x00 0x00 0x00 0x00 0x00 0x00 0x00
+0000000000180018: 0x02 0x00 0x00 0x00 0x00 0x00 0x00 0x00
(qemu) xp/40xb 0x180000 | diff | count
1
(qemu) p "a;b
{any}
Try "help p" for more information
(qemu) pmemsave 0 4096 $TMP/a && pmemsave 0 4096 $TMP/b; p 5
5
(qemu) repeat 3 10ms p 7
7
7
7
(qemu) repeat 2 repeat 2 p 1
Error: there is a repetition already
Error: there is a repetition already
(qemu) repeat 0 p 1
(qemu) repeat 2 p 1; p 2
1
1
2
(qemu) watch
watch: string expected
Try "help watch" for more information
(qemu) source $TMP/nosuch
Error: Could not open '$TMP/nosuch': No such file or directory
(qemu) source /dev/null
(qemu) set status on
[ok {num}ms]
(qemu) info name
vm1
[ok {num}ms]
(qemu) set_link x on
Error: Device 'x' not found
[err {num} {any}, {num}ms]
(qemu) pmemsave 0 4096 $TMP/c
[ok {num}ms]
(qemu) set status off
(qemu) set time on
(qemu) info name
[{num}:{num}:{num}.{num}] vm1
(qemu) set time off
(qemu) who
* compat_monitor0    human  unix:{any}
(qemu) set events on
(qemu) info name
vm1
(qemu) set syntax off
(qemu) log monitor
(qemu) p 1 # x
print|p: extraneous characters at the end of line
Try "help p" for more information
