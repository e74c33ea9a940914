# The devices by their paths.
disk: d.raw 1048576
args: -drive file=$TMP/d.raw,format=raw,if=none,id=hd0 -device virtio-blk-pci,drive=hd0,id=b0,serial=x1 -device virtio-balloon-pci,id=bal
(qemu) qom-list
type (string)
machine (child<pc-machine>)
(qemu) qom-list /
type (string)
machine (child<pc-machine>)
(qemu) qom-list /machine/peripheral
type (string)
b0 (child<virtio-blk-pci>)
bal (child<virtio-balloon-pci>)
(qemu) qom-list b0
type (string)
...
drive ({any})
...
(qemu) qom-list /nosuch
Error: Device '/nosuch' not found
(qemu) qom-get b0 type
"virtio-blk-pci"
(qemu) qom-get /machine/peripheral/b0 serial
"x1"
(qemu) qom-get b0 event_idx
true
(qemu) qom-get bal guest-stats
{
    "stats": {},
    "last-update": 0
}
(qemu) qom-get b0 nosuch
Error: Property 'virtio-blk-pci.nosuch' not found
(qemu) qom-get x type
Error: Device 'x' not found
(qemu) qom-get b0
qom-get: string expected
Try "help qom-get" for more information
(qemu) qom-set b0 serial x
qom-set: properties are set by device_add and stay; see 'qom-get'
(qemu) info qom-tree
qom-tree: see 'info qtree', or 'qom-list' for one level
