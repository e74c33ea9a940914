# Limits on drives.
disk: d.raw 1048576
args: -drive file=$TMP/d.raw,format=raw,if=none,id=hd0 -device virtio-blk-pci,drive=hd0,id=blk0
-> {"execute":"block_set_io_throttle","arguments":{"id":"blk0","bps":0,"bps_rd":0,"bps_wr":0,"iops":10,"iops_rd":0,"iops_wr":0,"iops_max":100,"iops_max_length":3,"group":"g"}}
<- {"return":{}}
-> {"execute":"query-block"}
<- {"return":[{"device":"hd0","inserted":{"iops":10,"iops_max":100,"iops_max_length":3,"group":"g","...":0},"...":0}]}
-> {"execute":"block_set_io_throttle","arguments":{"device":"hd0","bps":0,"bps_rd":-1,"bps_wr":0,"iops":0,"iops_rd":0,"iops_wr":0}}
<- {"error":{"class":"GenericError","desc":"bps/iops/max values must be within [0, 1000000000000000]"}}
-> {"execute":"block_set_io_throttle","arguments":{"device":"x","bps":0,"bps_rd":0,"bps_wr":0,"iops":0,"iops_rd":0,"iops_wr":0}}
<- {"error":{"class":"DeviceNotFound","desc":"Device 'x' not found"}}
-> {"execute":"block_set_io_throttle","arguments":{"bps":0,"bps_rd":0,"bps_wr":0,"iops":0,"iops_rd":0,"iops_wr":0}}
<- {"error":{"class":"GenericError","desc":"Need exactly one of 'device' and 'id'"}}
-> {"execute":"block_set_io_throttle","arguments":{"device":"hd0"}}
<- {"error":{"class":"GenericError","desc":"Parameter 'bps' is missing"}}
