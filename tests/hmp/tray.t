# A CD drive on IDE: eject and change move its tray; a disk has none.
disk: d.raw 1048576
args: -drive file=$TMP/d.raw,format=raw,if=ide -drive file=$GUEST,format=raw,if=ide,index=2,media=cdrom -device ide-cd,id=cd1
(qemu) info block
ide0-hd0 (#block{num}): $TMP/d.raw (raw)
    Attached to:      {any}
    Cache mode:       writeback

ide1-cd0 (#block{num}): $GUEST (raw, read-only)
    Attached to:      {any}
    Removable device: not locked, tray closed
    Cache mode:       writeback

cd1: [not inserted]
    Attached to:      {any}
    Removable device: not locked, tray closed
(qemu) eject ide0-hd0
Error: Device 'ide0-hd0' is not removable
(qemu) eject -f ide0-hd0
Error: Device 'ide0-hd0' is not removable
(qemu) change ide0-hd0 $GUEST raw
Error: Device 'ide0-hd0' is not removable
(qemu) eject ide1-cd0
(qemu) info block ide1-cd0

ide1-cd0: [not inserted]
    Attached to:      {any}
    Removable device: not locked, tray open
(qemu) change cd1 $GUEST raw
(qemu) info block cd1

cd1 (#block{num}): $GUEST (raw, read-only)
    Attached to:      {any}
    Removable device: not locked, tray closed
    Cache mode:       writeback
(qemu) eject -f cd1
(qemu) change -f ide1-cd0 $GUEST raw
(qemu) info qtree
...
    bus: ide.1
      type IDE
      dev: ide-cd, id ""
        drive = "ide1-cd0"
        bus = "ide.1"
        unit = 0 (0x0)
        serial = "QM00003"
...
    bus: ide.0
      type IDE
      dev: ide-cd, id "cd1"
...
      dev: ide-hd, id ""
        drive = "ide0-hd0"
...
(qemu) device_del cd1
Error: Bus 'ide.0' does not support hotplugging
(qemu) device_add ide-cd
Error: Bus 'ide.1' does not support hotplugging
