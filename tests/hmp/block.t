# Drives: with a device, without one, one by name.
disk: d.raw 8388608
args: -drive file=$TMP/d.raw,format=raw,if=none,id=hd0 -device virtio-blk-pci,drive=hd0,id=blk0 -drive file=$GUEST,format=raw,if=none,id=hd1,readonly=on
(qemu) info block
hd0 (#block{num}): $TMP/d.raw (raw)
    Attached to:      /machine/peripheral/blk0/virtio-backend
    Cache mode:       writeback

hd1 (#block{num}): $GUEST (raw, read-only)
...
(qemu) info block hd0
hd0 (#block{num}): $TMP/d.raw (raw)
    Attached to:      /machine/peripheral/blk0/virtio-backend
    Cache mode:       writeback
(qemu) info block hd1

hd1 (#block{num}): $GUEST (raw, read-only)
...
(qemu) info block -v hd0
hd0 (#block{num}): $TMP/d.raw (raw)
    Attached to:      /machine/peripheral/blk0/virtio-backend
    Cache mode:       writeback

Images:
image: $TMP/d.raw
file format: raw
virtual size: 8 MiB (8388608 bytes)
disk size: {any}
(qemu) info block hd0 -v
hd0 (#block{num}): $TMP/d.raw (raw)
...
disk size: {any}
(qemu) info block -n
{re:#}block{num}: $TMP/d.raw (raw)
    Cache mode:       writeback
...
(qemu) info block nosuch
(qemu) info blockstats
hd0: rd_bytes=0 wr_bytes=0 rd_operations=0 wr_operations=0 flush_operations=0 wr_total_time_ns=0 rd_total_time_ns=0 flush_total_time_ns=0 rd_merged=0 wr_merged=0 idle_time_ns={num}
hd1: rd_bytes=0 {any}
