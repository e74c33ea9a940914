# The devices by their paths.
disk: d.raw 1048576
args: -drive file=$TMP/d.raw,format=raw,if=none,id=hd0 -device virtio-blk-pci,drive=hd0,id=b0,serial=x1 -device virtio-balloon-pci,id=bal
-> {"execute":"qom-list","arguments":{"path":"/"}}
<- {"return":[{"name":"type","type":"string"},{"name":"machine","type":"child<pc-machine>"}]}
-> {"execute":"qom-list","arguments":{"path":"/machine"}}
<- {"return":[{"name":"type","type":"string"},{"name":"peripheral","type":"child<container>"},{"name":"peripheral-anon","type":"child<container>"},{"name":"unattached","type":"child<container>"}]}
-> {"execute":"qom-list","arguments":{"path":"/machine/peripheral"}}
<- {"return":[{"name":"type","type":"string"},{"name":"b0","type":"child<virtio-blk-pci>"},{"name":"bal","type":"child<virtio-balloon-pci>"}]}
-> {"execute":"qom-list","arguments":{"path":"/machine/peripheral/b0"}}
<- {"return":[{"name":"type","type":"string"},{"name":"*","type":"*"},"..."]}
-> {"execute":"qom-list","arguments":{"path":"/machine/nosuch"}}
<- {"error":{"class":"DeviceNotFound","desc":"Device '/machine/nosuch' not found"}}
-> {"execute":"qom-list","arguments":{"path":"/machine/peripheralx"}}
<- {"error":{"class":"DeviceNotFound","desc":"Device '/machine/peripheralx' not found"}}
-> {"execute":"qom-get","arguments":{"path":"/machine/peripheral/b0","property":"type"}}
<- {"return":"virtio-blk-pci"}
-> {"execute":"qom-get","arguments":{"path":"/machine/peripheral/b0","property":"serial"}}
<- {"return":"x1"}
-> {"execute":"qom-get","arguments":{"path":"b0","property":"drive"}}
<- {"return":"hd0"}
-> {"execute":"qom-get","arguments":{"path":"b0","property":"nosuch"}}
<- {"error":{"class":"GenericError","desc":"Property 'virtio-blk-pci.nosuch' not found"}}
-> {"execute":"qom-get","arguments":{"path":"nosuch","property":"type"}}
<- {"error":{"class":"DeviceNotFound","desc":"Device 'nosuch' not found"}}
-> {"execute":"qom-get","arguments":{"path":"b0"}}
<- {"error":{"class":"GenericError","desc":"Parameter 'property' is missing"}}
-> {"execute":"qom-get","arguments":{"path":"/machine/peripheral/bal","property":"guest-stats"}}
<- {"return":{"stats":{},"last-update":0}}
-> {"execute":"qom-list","arguments":{"path":"/machine/peripheral/bal"}}
<- {"return":[{"name":"type","type":"string"},{"name":"guest-stats","type":"guest statistics"},"..."]}
-> {"execute":"qom-get","arguments":{"path":"b0","property":"guest-stats"}}
<- {"error":{"class":"GenericError","desc":"Property 'virtio-blk-pci.guest-stats' not found"}}
