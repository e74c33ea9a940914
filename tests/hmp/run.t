# stop, cont, reset, and what a halted guest makes of an NMI.
(qemu) info status
VM status: running
(qemu) stop
(qemu) info status
VM status: paused
(qemu) stop
(qemu) s
(qemu) info cpus
* CPU #0: pc=0x0000000000100102 (halted) thread_id={num}
(qemu) cont
(qemu) info status
VM status: running
(qemu) c
(qemu) cont
(qemu) info status
VM status: running
(qemu) system_reset
wait: info cpus ~ pc=0x0000000000100102 \(halted\)
(qemu) info status
VM status: running
(qemu) p/x $rax
0xfeedfacecafebeef
(qemu) stop
(qemu) system_reset
wait: info registers ~ EIP=
(qemu) info status
VM status: paused
(qemu) cont
wait: info cpus ~ halted
(qemu) system_powerdown
(qemu) system_powerdown now
system_powerdown: extraneous characters at the end of line
Try "help system_powerdown" for more information
(qemu) info status
VM status: running
(qemu) nmi 0
nmi: extraneous characters at the end of line
Try "help nmi" for more information
