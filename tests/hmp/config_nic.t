# Forwards of back ends that were given no id.
args: -nic user,model=virtio-net-pci
(qemu) hostfwd_add tcp:127.0.0.1:0-:22
(qemu) hostfwd_add udp:127.0.0.1:0-10.0.2.15:53
(qemu) info config
...
    -nic user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:0-:22,hostfwd=udp:127.0.0.1:0-10.0.2.15:53
(qemu) hostfwd_remove nope tcp:127.0.0.1:0
unrecognized netdev id 'nope'
(qemu) hostfwd_remove tcp:127.0.0.1:1
host forwarding rule for tcp:127.0.0.1:1 not found
(qemu) info config
...
    -nic user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:0-:22,hostfwd=udp:127.0.0.1:0-10.0.2.15:53
