# Drives go on in new images on top of those they have.
disk: d.raw 8388608
args: -drive file=$TMP/d.raw,format=raw,if=none,id=hd0 -device virtio-blk-pci,drive=hd0 -drive file=$GUEST,format=raw,if=none,id=hd1,snapshot=on -drive file=$GUEST,format=raw,if=none,id=hd2,readonly=on -drive if=none,id=hd3
(qemu) info snapshots
no block device can store vmstate for snapshot
(qemu) snapshot_blkdev hd0
Error: Parameter 'snapshot-file' is missing
(qemu) snapshot_blkdev nosuch $TMP/s1
Error: Cannot find device='nosuch' nor node-name=''
(qemu) snapshot_blkdev hd1 $TMP/s1
Error: drive 'hd1' keeps its changes in a temporary file (snapshot=on), which no overlay can name
(qemu) snapshot_blkdev hd2 $TMP/s1
Error: drive 'hd2' is read-only
(qemu) snapshot_blkdev hd3 $TMP/s1
Error: Device 'hd3' has no medium
(qemu) snapshot_blkdev hd0 $TMP/s1 raw
Error: format 'raw' has no backing files; use qcow2
(qemu) snapshot_blkdev hd0 $TMP/s1 bogus
Error: Unknown driver 'bogus'
(qemu) snapshot_blkdev hd0 $TMP/d.raw
Error: '$TMP/d.raw' is what drive 'hd0' has now
(qemu) snapshot_blkdev hd0 $TMP/nosuch/s1
Error: Could not create '$TMP/nosuch/s1': No such file or directory
(qemu) snapshot_blkdev -n hd0 $TMP/s1
Error: Could not open '$TMP/s1': No such file or directory
(qemu) info block hd0
hd0 (#block{num}): $TMP/d.raw (raw)
    Attached to:      {any}
    Cache mode:       writeback
(qemu) snapshot_blkdev hd0 $TMP/s1
(qemu) snapshot_blkdev hd0 $TMP/s2 qcow2
(qemu) info block hd0
hd0 (#block{num}): $TMP/s2 (qcow2)
    Attached to:      {any}
    Cache mode:       writeback
    Backing file:     $TMP/s1 (chain depth: 2)
# The images below are still in use.
(qemu) snapshot_blkdev hd0 $TMP/s1
Error: '$TMP/s1' is what drive 'hd0' has now
(qemu) drive_add 0 if=none,id=hd4,format=raw,file=$TMP/d.raw
image '$TMP/d.raw' is used by another drive already
(qemu) info snapshots
There is no snapshot available.
(qemu) info config
...
    -drive if=none,id=hd0,file=$TMP/s2,format=qcow2 \
...
(qemu) block_resize hd0 16M
(qemu) commit hd0
(qemu) info status
VM status: running
