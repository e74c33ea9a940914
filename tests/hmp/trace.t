# Trace points.
args: -trace pio_write,file=$TMP/trace
(qemu) info trace-events
vcpu_exit : state 0
mmio_read : state 0
...
pio_write : state 1
...
(qemu) trace-event pio_* off
(qemu) info trace-events pio_*
pio_read : state 0
pio_write : state 0
(qemu) trace-event virtio_* on
(qemu) info trace-events virtio_status
virtio_status : state 1
# The log shows a point of its items, but that is not tracing.
(qemu) log pio
(qemu) info trace-events pio_read
pio_read : state 0
(qemu) log none
(qemu) trace-event nosuch on
unknown event "nosuch"
(qemu) trace-event nosuch* on
(qemu) info trace-events nosuch
unknown event "nosuch"
(qemu) info trace-events nosuch*
(qemu) trace-event pio_read maybe
Expected 'on' or 'off'
Try "help trace-event" for more information
(qemu) trace-event pio_read on 0
event "pio_read" is not vCPU-specific
(qemu) trace-event
trace-event: string expected
Try "help trace-event" for more information
(qemu) trace-file
Trace file "$TMP/trace" on.
(qemu) trace-file off
(qemu) trace-file
Trace file "$TMP/trace" off.
(qemu) trace-file flush
(qemu) trace-file on
(qemu) trace-file set $TMP/other
(qemu) trace-file
Trace file "$TMP/other" on.
(qemu) trace-file set
Error: set takes a file
(qemu) trace-file set /nonexistent/x
Error: Could not open '/nonexistent/x': No such file or directory
(qemu) trace-file on $TMP/x
Error: 'on' takes no file
(qemu) trace-file away
unexpected argument "away"
# An item of the log names points, too, until the next says otherwise.
(qemu) trace-event * off
(qemu) log trace:pio_*,guest_errors
(qemu) info trace-events pio_*
pio_read : state 1
pio_write : state 1
(qemu) log trace:pio_read
(qemu) info trace-events pio_*
pio_read : state 1
pio_write : state 0
(qemu) trace-event pio_read off
(qemu) info trace-events pio_read
pio_read : state 0
(qemu) log trace:pio_read
(qemu) log none
(qemu) info trace-events pio_read
pio_read : state 0
(qemu) log trace:nosuch
Log items (comma separated):
...
Error: unknown log item 'trace:nosuch'
(qemu) log trace:
Log items (comma separated):
...
Error: unknown log item 'trace:'
