# A card on user networking.
args: -netdev user,id=net0 -device virtio-net-pci,netdev=net0,id=nic0,mac=52:54:00:12:34:56
(qemu) info network
nic0: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:56
 \ net0: index=0,type=user,net=10.0.2.0,restrict=off
(qemu) set_link nic0 off
(qemu) set_link net0 on
(qemu) set_link nosuch on
Error: Device 'nosuch' not found
(qemu) set_link nic0 ON
Expected 'on' or 'off'
Try "help set_link" for more information
(qemu) announce_self
(qemu) hostfwd_add tcp:127.0.0.1:0-:22
...
(qemu) hostfwd_add xyz
{any}
(qemu) hostfwd_add nosuch tcp::5555-:22
unrecognized netdev id 'nosuch'
(qemu) hostfwd_remove tcp:127.0.0.1:9
{any}
(qemu) info usernet
...
(qemu) info qtree
...
      dev: virtio-net-pci, id "nic0"
...
        netdev = "net0"
        mac = "52:54:00:12:34:56"
        host_mtu = 0 (0x0)
...
        guest_csum = {any}
...
(qemu) net_set_io_throttle nic0 1000000 500*1000
(qemu) info network
nic0: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:56,bps_in=1000000,bps_out=500000
 \ net0: index=0,type=user,net=10.0.2.0,restrict=off
(qemu) net_set_io_throttle net0 0 0 100 200
(qemu) info network
nic0: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:56,pps_in=100,pps_out=200
 \ net0: index=0,type=user,net=10.0.2.0,restrict=off
(qemu) net_set_io_throttle nic0 0 1000000000001
Error: limits must be within [0, 1000000000000]
(qemu) net_set_io_throttle nosuch 1 1
Error: Device 'nosuch' not found
(qemu) net_set_io_throttle nic0 1
unexpected end of expression
Try "help net_set_io_throttle" for more information
(qemu) net_set_io_throttle nic0 0 0
(qemu) netdev_add user,id=net1
(qemu) net_set_io_throttle net1 1 1
Error: no network card uses 'net1'
(qemu) netdev_add user,id=net1
Error: Duplicate ID 'net1' for netdev
(qemu) netdev_add bogus,id=net2
Error: Parameter 'type' does not accept value 'bogus'
(qemu) netdev_add user
Error: Parameter 'id' is missing
(qemu) netdev_add
Error: Parameter 'id' is missing
(qemu) info network
nic0: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:56
 \ net0: index=0,type=user,net=10.0.2.0,restrict=off
net1: index=0,type=user,net=10.0.2.0,restrict=off
(qemu) netdev_del net1
(qemu) netdev_del net1
Error: Device 'net1' not found
(qemu) netdev_del net0
(qemu) netdev_del net0
Error: Device 'net0' not found
(qemu) info network
nic0: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:56
 \ net0: index=0,type=user,net=10.0.2.0,restrict=off
(qemu) info usernet
