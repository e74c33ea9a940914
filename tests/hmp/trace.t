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
