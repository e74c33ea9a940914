# Drives that were given no id are followed by the name that they got.
disk: d.raw 1048576
args: -drive file=$TMP/d.raw,format=raw,file.locking=off,if=none -drive file=$TMP/d.raw,format=raw,file.locking=off
(qemu) info config
...
    -drive file=$TMP/d.raw,format=raw,file.locking=off,if=none \
    -drive file=$TMP/d.raw,format=raw,file.locking=off
(qemu) eject none0
(qemu) info config
...
    -drive file.locking=off,if=none \
    -drive file=$TMP/d.raw,format=raw,file.locking=off
(qemu) change none0 $TMP/d.raw raw read-only
(qemu) info config
...
    -drive file.locking=off,if=none,file=$TMP/d.raw,format=raw,readonly=on \
    -drive file=$TMP/d.raw,format=raw,file.locking=off
(qemu) drive_del none0
(qemu) drive_del virtio0
(qemu) info config
...
    -kernel {any}
(qemu) drive_add 0 if=none,file=$TMP/d.raw,format=raw
OK
(qemu) info config
...
    -kernel {any} \
    -drive if=none,file=$TMP/d.raw,format=raw
(qemu) eject none0
(qemu) info config
...
    -kernel {any} \
    -drive if=none
