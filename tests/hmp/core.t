# Core files: what is refused, and that the guest goes on.
(qemu) info dump
Status: none
(qemu) dump-guest-memory $TMP/core
(qemu) info dump
Status: completed
(qemu) info status
VM status: running
(qemu) dump-guest-memory -p $TMP/core.paging
(qemu) dump-guest-memory -z $TMP/core.kdump
(qemu) dump-guest-memory $TMP/core.part 0x100000 8192
(qemu) dump-guest-memory -p $TMP/core.part 0x108000 4096
(qemu) info dump -j
{"status": "completed", "completed": 4096, "total": 4096}
(qemu) dump-guest-memory -d $TMP/core.later
wait: info dump ~ Status: completed
wait: info status ~ running
(qemu) dump-guest-memory $TMP/x 0x100000
Error: Parameter 'length' is missing
(qemu) dump-guest-memory $TMP/x 0x100000 0
Error: Invalid parameter 'length'
(qemu) dump-guest-memory $TMP/x 0x10000000000 4096
Error: Invalid parameter 'begin'
(qemu) dump-guest-memory -z -p $TMP/x
Error: kdump-compressed format doesn't support paging or filter
(qemu) dump-guest-memory -z $TMP/x 0 4096
Error: kdump-compressed format doesn't support paging or filter
(qemu) dump-guest-memory -l $TMP/x
Error: kdump-lzo is not built in; use -z
(qemu) dump-guest-memory -s $TMP/x
Error: kdump-snappy is not built in; use -z
(qemu) dump-guest-memory -w $TMP/x
Error: Windows dumps are not built in; use the default
(qemu) dump-guest-memory -zR $TMP/x
Error: raw kdump is not needed: a dump is written to a file; use -z
(qemu) dump-guest-memory
dump-guest-memory: filename expected
Try "help dump-guest-memory" for more information
(qemu) dump-guest-memory /nonexistent/x
Error: Could not open '/nonexistent/x': No such file or directory
# a full disk: the guest goes on, and so does the next dump
(qemu) dump-guest-memory /dev/full
Error: writing to '/dev/full' failed: No space left on device
(qemu) info dump
Status: failed
(qemu) info status
VM status: running
(qemu) dump-guest-memory -z /dev/full
Error: writing to '/dev/full' failed: No space left on device
(qemu) stop
(qemu) dump-guest-memory $TMP/core
(qemu) info status
VM status: paused
(qemu) cont
(qemu) info status
VM status: running
