# Sizes and overlays.
disk: d.raw 8388608
args: -drive file=$TMP/d.raw,format=raw,if=none,id=hd0 -device virtio-blk-pci,drive=hd0 -drive file=$GUEST,if=none,id=hd1,snapshot=on
(qemu) block_resize hd0 16
(qemu) info block -v hd0
hd0 (#block{num}): $TMP/d.raw (raw)
...
virtual size: 16 MiB (16777216 bytes)
disk size: {any}
(qemu) block_resize hd0 8M
(qemu) block_resize hd1 16
Error: drive 'hd1' cannot change its size
(qemu) block_resize nosuch 1G
Error: Cannot find device='nosuch' nor node-name=''
(qemu) block_resize hd0 -1
invalid size
Try "help block_resize" for more information
(qemu) commit hd0
'commit' error for 'hd0': Operation not supported
(qemu) commit nosuch
Device 'nosuch' not found
(qemu) commit hd1
(qemu) commit all
(qemu) commit
commit: block device name expected
Try "help commit" for more information
