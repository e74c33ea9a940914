# info config follows disks that have no options of their own.
disk: d.raw 1048576
args: -hda $TMP/d.raw -drive file=$GUEST,format=raw,readonly=on
(qemu) snapshot_blkdev virtio0 $TMP/a,b
(qemu) info config
...
    -drive file=$TMP/a,,b,format=qcow2,index=0 \
    -drive file=$GUEST,format=raw,readonly=on
