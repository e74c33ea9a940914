# The command line that would make the machine as it is.
disk: d.raw 1048576
args: -name it's -drive file=$TMP/d.raw,format=raw,if=none,id=hd0 -device virtio-blk-pci,drive=hd0,id=b0
(qemu) info config
vmon \
    -nodefaults \
    -display none \
    -monitor {any} \
...
    -kernel {any} \
    -name 'it'\''s' \
    -drive file=$TMP/d.raw,format=raw,if=none,id=hd0 \
    -device virtio-blk-pci,drive=hd0,id=b0
(qemu) object_add rng-builtin,id=r0
(qemu) chardev-add ringbuf,id=c0,size=64
(qemu) netdev_add user,id=n0
(qemu) device_add virtio-rng-pci,rng=r0,id=g0
(qemu) device_add virtio-rng-pci,rng=nosuch,id=g1
Error: {any}
(qemu) info config
...
    -device virtio-blk-pci,drive=hd0,id=b0 \
    -object rng-builtin,id=r0 \
    -chardev ringbuf,id=c0,size=64 \
    -netdev user,id=n0 \
    -device virtio-rng-pci,rng=r0,id=g0
# what has changed is followed
(qemu) hostfwd_add n0 tcp:127.0.0.1:0-:22
(qemu) hostfwd_add n0 udp:127.0.0.1:0-10.0.2.15:53
(qemu) info config
...
    -netdev user,id=n0,hostfwd=tcp:127.0.0.1:0-:22,hostfwd=udp:127.0.0.1:0-10.0.2.15:53 \
...
(qemu) chardev-remove c0
(qemu) netdev_del n0
(qemu) device_del g0
(qemu) device_del b0
(qemu) system_reset
wait: object_del r0 ~ not found
(qemu) info config
...
    -name 'it'\''s'
(qemu) device_add virtio-rng-pci,id=b0
(qemu) info config -j
[["-nodefaults"], ["-display", "none"], {any}, ["-name", "it's"], ["-device", "virtio-rng-pci,id=b0"]]
(qemu) device_add -n virtio-rng-pci,id=g7
(qemu) device_add -n virtio-rng-pci,id=b0
Error: {any}b0{any}
(qemu) device_add -n virtio-rng-pci,nosuch=1
Error: {any}nosuch{any}
(qemu) device_add -n nosuch
Error: 'nosuch' is not a valid device model name{any}
(qemu) device_add -n virtio-blk-pci,drive=nosuch
Error: {any}nosuch{any}
(qemu) device_add -n virtio-rng-pci,id=g7
(qemu) device_add virtio-rng-pci,id=g7
