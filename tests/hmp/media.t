# Images of drives that no device uses come and go.
disk: d.raw 1048576
args: -drive file=$TMP/d.raw,format=raw,if=none,id=a -drive file=$GUEST,format=raw,if=none,id=h,readonly=on -device virtio-blk-pci,drive=h,id=b0 -drive if=none,id=e,media=cdrom
(qemu) info block a
a (#block{num}): $TMP/d.raw (raw)
    Removable device: not locked, tray closed
    Cache mode:       writeback
(qemu) info block e

e: [not inserted]
    Removable device: not locked, tray closed
(qemu) eject a
(qemu) eject a
(qemu) info block a
a: [not inserted]
    Removable device: not locked, tray closed
(qemu) block_set_io_throttle a 1 0 0 0 0 0
Error: Device 'a' has no medium
(qemu) device_add virtio-blk-pci,drive=a
Error: Device needs media, but drive is empty
(qemu) info config
...
    -drive if=none,id=a \
...
(qemu) change a $TMP/d.raw raw read-only
(qemu) info config
...
    -drive if=none,id=a,file=$TMP/d.raw,format=raw,readonly=on \
...
(qemu) eject a
(qemu) eject h
Error: Device 'h' is not removable
(qemu) eject -f h
Error: Device 'h' is not removable
(qemu) eject nosuch
Error: Device 'nosuch' not found
(qemu) change a $TMP/nosuch raw
Error: Could not open '$TMP/nosuch': No such file or directory
(qemu) change a $TMP/d.raw raw bogus
Error: invalid parameter value: bogus
(qemu) change a $TMP/d.raw bogusfmt
Error: Unknown driver 'bogusfmt'
(qemu) change a $TMP/d.raw qcow2
Error: image '$TMP/d.raw': Image is not in qcow2 format
(qemu) change a $TMP/d.raw vmdk
Error: format 'vmdk' is not supported; convert the image with 'qemu-img convert -O raw'
(qemu) change h -f $TMP/d.raw raw
Error: Device 'h' is not removable
(qemu) change nosuch x
Error: Device 'nosuch' not found
(qemu) change a $TMP/d.raw raw read-only
(qemu) info block a
a (#block{num}): $TMP/d.raw (raw, read-only)
    Removable device: not locked, tray closed
    Cache mode:       writeback
(qemu) change a $GUEST raw
(qemu) info block a
a (#block{num}): $GUEST (raw, read-only)
    Removable device: not locked, tray closed
    Cache mode:       writeback
# What cannot be opened leaves the old one in.
(qemu) change a $TMP raw read-only
Error: {any}
(qemu) info block a
a (#block{num}): $GUEST (raw, read-only)
    Removable device: not locked, tray closed
    Cache mode:       writeback
(qemu) change e -f $TMP/d.raw raw
(qemu) info block e

e (#block{num}): $TMP/d.raw (raw, read-only)
    Removable device: not locked, tray closed
    Cache mode:       writeback
(qemu) eject -f e
# A changed drive works in a device.
(qemu) change a $TMP/d.raw raw read-write
(qemu) device_add virtio-blk-pci,drive=a
(qemu) eject a
Error: Device 'a' is not removable
(qemu) change vnc password
Error: VNC is not built in
(qemu) change a
change: filename expected
Try "help change" for more information
(qemu) eject
eject: block device name expected
Try "help eject" for more information
