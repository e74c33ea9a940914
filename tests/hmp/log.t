# Log items and where the log goes.
(qemu) log irq,pio
(qemu) log none
(qemu) log bogus
Log items (comma separated):
...
Error: {any}bogus{any}
(qemu) log
log: string expected
Try "help log" for more information
(qemu) logfile /nonexistent/q.log
Error opening logfile /nonexistent/q.log: No such file or directory
(qemu) logfile $TMP/q.log
(qemu) logfile
logfile: filename expected
Try "help logfile" for more information
(qemu) help log
...
(qemu) log in_asm,op,out_asm,exec,cpu,int,mmu,cpu_reset,nochain
(qemu) log none
(qemu) log trace:help
...
mmio_read
...
