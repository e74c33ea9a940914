# Descriptors that do not come.
(qemu) getfd foo
Error: No file descriptor supplied via SCM_RIGHTS
(qemu) getfd
getfd: string expected
Try "help getfd" for more information
(qemu) closefd foo
Error: File descriptor named 'foo' not found
(qemu) chardev-add socket,id=c,fd=foo
Error: 'foo' is not an open socket
