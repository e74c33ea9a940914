# help: sorted, one line a command; two blanks where there are no parameters.
(qemu) help stop
stop|s  -- pause all vCPUs
(qemu) ? s
stop|s  -- pause all vCPUs
(qemu) help print
print|p /fmt expr -- {any}
(qemu) help x
x /fmt addr -- {any}
(qemu) help info status
info status  -- {any}
(qemu) help info
info backtrace [-a] -- {any}
info balloon [-s] -- {any}
info block [-n] [-v] [device] -- {any}
...
info cpus  -- {any}
...
info version  -- {any}
...
(qemu) info
info backtrace [-a] -- {any}
info balloon [-s] -- {any}
info block [-n] [-v] [device] -- {any}
...
info version  -- {any}
...
(qemu) help
announce_self [interfaces] [id] -- {any}
...
cont|c  -- {any}
...
xp /fmt addr -- {any}
(qemu) help nosuch
unknown command: 'nosuch'
(qemu) help info nosuch
unknown command: 'info nosuch'
(qemu) help log
Log items (comma separated):
none {any}
...
(qemu) help help
help|? [command] -- {any}
