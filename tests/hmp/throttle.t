# Limits on drives.
disk: d.raw 1048576
args: -drive file=$TMP/d.raw,format=raw,if=none,id=a,bps=1048576,iops_rd=100,throttling.bps-total-max=2097152,throttling.iops-size=4096 -device virtio-blk-pci,drive=a
(qemu) info block a
a (#block{num}): $TMP/d.raw (raw)
    Attached to:      {any}
    Cache mode:       writeback
    I/O throttling:   bps=1048576 bps_rd=0 bps_wr=0 bps_max=2097152 bps_rd_max=0 bps_wr_max=0 iops=0 iops_rd=100 iops_wr=0 iops_max=0 iops_rd_max=0 iops_wr_max=0 iops_size=4096 group=a
(qemu) block_set_io_throttle a 0 0 0 0 0 0
(qemu) info block a
a (#block{num}): $TMP/d.raw (raw)
    Attached to:      {any}
    Cache mode:       writeback
(qemu) block_set_io_throttle a 0 10 20 15*2 0 0
(qemu) info block a
a (#block{num}): $TMP/d.raw (raw)
    Attached to:      {any}
    Cache mode:       writeback
    I/O throttling:   bps=0 bps_rd=10 bps_wr=20 bps_max=0 bps_rd_max=0 bps_wr_max=0 iops=30 iops_rd=0 iops_wr=0 iops_max=0 iops_rd_max=0 iops_wr_max=0 iops_size=0 group=a
(qemu) block_set_io_throttle a 100 1 0 0 0 0
Error: bps/iops/max total values and read/write values cannot be used at the same time
(qemu) block_set_io_throttle a 1 2 3
unexpected end of expression
Try "help block_set_io_throttle" for more information
(qemu) block_set_io_throttle nosuch 1 0 0 0 0 0
Error: Device 'nosuch' not found
(qemu) block_set_io_throttle a 1000000000000001 0 0 0 0 0
Error: bps/iops/max values must be within [0, 1000000000000000]
