# Plugging and unplugging; the guest here has no ACPI driver (tests/system
# test_hotplug.py has one).
disk: d.raw 1048576
start: paused
args: -object rng-builtin,id=r0
(qemu) drive_add 0 if=none,file=$TMP/d.raw,format=raw,id=hd1
OK
(qemu) drive_add 0 if=none,file=$TMP/nosuch,format=raw,id=hd2
{re:[Cc]}ould not open '$TMP/nosuch': No such file or directory
(qemu) drive_add 0 file=$TMP/d.raw,id=hd2
Error: Can't hot-add drive to type 'virtio'; use if=none and device_add
(qemu) drive_add -n 0 driver=raw
Error: block nodes cannot be added; leave out -n
(qemu) drive_add 0
drive_add: string expected
Try "help drive_add" for more information
(qemu) device_add virtio-blk-pci,drive=hd1,id=blk1
(qemu) device_add virtio-blk-pci,drive=hd1,id=blk1
Error: Duplicate device ID 'blk1'
(qemu) device_add virtio-blk-pci,drive=hd1,id=blk2
Error: {any}in use by another device{any}
(qemu) device_add nosuch
Error: 'nosuch' is not a valid device model name{any}
(qemu) device_add
Error: Parameter 'driver' is missing
(qemu) device_add isa-debug-exit
Error: Bus 'isa.0' does not support hotplugging
(qemu) device_add virtio-rng-pci,rng=r0,bogus=1
Error: {any}bogus{any}
(qemu) device_add virtio-rng-pci,addr=3
Error: PCI: slot 3 function 0 not available for virtio-rng-pci, in use by virtio-blk-pci,id=blk1
(qemu) device_add virtio-rng-pci,help
virtio-rng-pci options:
...
(qemu) info qdm
Storage devices:
name "ide-cd", bus IDE, desc "{any}"
name "ide-hd", bus IDE, desc "{any}"
name "virtio-blk-pci", bus PCI, alias "virtio-blk", desc "{any}"
...
(qemu) device_add help
Storage devices:
...
(qemu) info block
hd1 (#block{num}): $TMP/d.raw (raw)
    Attached to:      /machine/peripheral/blk1/virtio-backend
    Cache mode:       writeback
(qemu) device_del nosuch
Error: Device 'nosuch' not found
(qemu) device_del -w x blk1
Error: -w takes seconds, not 'x'
(qemu) device_del -w 0.1 blk1
Error: the guest has not let go of 'blk1' in 0.1 s
(qemu) device_del blk1
# A reset releases what the guest was asked for, and its drive.
(qemu) system_reset
wait: info qtree ~ main-system-bus
wait: drive_del hd1 ~ Device 'hd1' not found
(qemu) device_del blk1
Error: Device 'blk1' not found
(qemu) info block
# Taking the drive away under a device
(qemu) drive_add 0 if=none,file=$TMP/d.raw,format=raw,id=hd1
OK
(qemu) device_add virtio-blk-pci,drive=hd1,id=blk1
(qemu) drive_del hd1
(qemu) drive_del hd1
Device 'hd1' not found
(qemu) info block
/machine/peripheral/blk1/virtio-backend: [not inserted]
    Attached to:      /machine/peripheral/blk1/virtio-backend
(qemu) object_add rng-builtin,id=r1
(qemu) object_add rng-builtin,id=r1
Error: attempt to add duplicate property 'r1' to object (type 'container')
(qemu) object_add bogus,id=r2
Error: Parameter 'qom-type' does not accept value 'bogus'{any}
(qemu) object_add rng-builtin
Error: Parameter 'id' is missing
(qemu) object_add help
List of user creatable objects:
...
(qemu) device_add virtio-rng-pci,rng=r1,id=g1
(qemu) object_del r1
Error: object 'r1' is in use, can not be deleted
(qemu) device_del g1
(qemu) system_reset
wait: object_del r1 ~ not found
(qemu) object_del nosuch
Error: object 'nosuch' not found
(qemu) object_del r0
