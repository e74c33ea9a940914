# Virtio devices.
args: -device virtio-rng-pci,id=r -device virtio-balloon-pci,id=b
-> {"execute":"x-query-virtio"}
<- {"return":[{"path":"/machine/peripheral/b/virtio-backend","name":"virtio-balloon"},{"path":"/machine/peripheral/r/virtio-backend","name":"virtio-rng"}]}
-> {"execute":"x-query-virtio-status","arguments":{"path":"/machine/peripheral/r/virtio-backend"}}
<- {"return":{"name":"virtio-rng","device-id":4,"num-vqs":1,"guest-features":{"transports":[],"dev-features":[]},"status":{"statuses":[]},"...":0}}
-> {"execute":"x-query-virtio-status","arguments":{"path":"/x"}}
<- {"error":{"class":"GenericError","desc":"Path /x is not a VirtIODevice"}}
-> {"execute":"x-query-virtio-queue-status","arguments":{"path":"r","queue":0}}
<- {"return":{"name":"virtio-rng","queue-index":0,"vring-num":8,"vring-desc":0,"...":0}}
-> {"execute":"x-query-virtio-queue-element","arguments":{"path":"r","queue":1}}
<- {"error":{"class":"GenericError","desc":"Invalid virtqueue number 1"}}
-> {"execute":"x-query-virtio-vhost-queue-status","arguments":{"path":"r","queue":0}}
<- {"error":{"class":"GenericError","desc":"Error: vhost device has not started yet"}}
-> {"execute":"query-balloon"}
<- {"return":{"actual":16777216}}
-> {"execute":"query-balloon","arguments":{"stats":true}}
<- {"error":{"class":"GenericError","desc":"Parameter 'stats' is unexpected"}}
