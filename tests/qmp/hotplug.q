disk: d.raw 1048576
args: -drive file=$TMP/d.raw,format=raw,if=none,id=hd0
-> {"execute":"object-add","arguments":{"qom-type":"rng-builtin","id":"r0"}}
<- {"return":{}}
-> {"execute":"object-add","arguments":{"qom-type":"bogus","id":"r1"}}
<- {"error":{"class":"GenericError","desc":"~Parameter 'qom-type' does not accept value 'bogus'.*"}}
-> {"execute":"device_add","arguments":{"driver":"virtio-rng-pci","id":"g0","rng":"r0","max-bytes":1024}}
<- {"return":{}}
-> {"execute":"device_add","arguments":{"driver":"virtio-blk-pci","id":"b0","drive":"hd0"}}
<- {"return":{}}
-> {"execute":"device_add","arguments":{"driver":"nosuch"}}
<- {"error":{"class":"GenericError","desc":"~'nosuch' is not a valid device model name.*"}}
-> {"execute":"object-del","arguments":{"id":"r0"}}
<- {"error":{"class":"GenericError","desc":"object 'r0' is in use, can not be deleted"}}
-> {"execute":"device_del","arguments":{"id":"x"}}
<- {"error":{"class":"DeviceNotFound","desc":"Device 'x' not found"}}
-> {"execute":"device_del","arguments":{"id":"g0"}}
<- {"return":{}}
-> {"execute":"device_del","arguments":{"id":"/machine/peripheral/b0"}}
<- {"return":{}}
-> {"execute":"system_reset"}
<? {"timestamp":"*","event":"DEVICE_DELETED","data":{"device":"g0","path":"/machine/peripheral/g0"}}
<? {"timestamp":"*","event":"DEVICE_DELETED","data":{"device":"b0","path":"/machine/peripheral/b0"}}
-> {"execute":"object-del","arguments":{"id":"r0"}}
<? {"return":{}}
-> {"execute":"query-block","id":"after"}
<? {"return":[],"id":"after"}
-> {"execute":"chardev-add","arguments":{"id":"c1","backend":{"type":"ringbuf","data":{"size":64}}}}
<- {"return":{}}
-> {"execute":"chardev-add","arguments":{"id":"c2","backend":{"type":"pty","data":{}}}}
<- {"return":{"pty":"~/dev/pts/[0-9]+"}}
-> {"execute":"chardev-add","arguments":{"id":"c3","backend":{"type":"socket","data":{"addr":{"type":"unix","data":{"path":"$TMP/s"}},"server":true}}}}
<- {"return":{}}
-> {"execute":"chardev-add","arguments":{"id":"c4","backend":{"type":"nosuch","data":{}}}}
<- {"error":{"class":"GenericError","desc":"'nosuch' is not a valid char driver name"}}
-> {"execute":"ringbuf-write","arguments":{"device":"c1","data":"abc"}}
<- {"return":{}}
-> {"execute":"ringbuf-read","arguments":{"device":"c1","size":10}}
<- {"return":"abc"}
-> {"execute":"ringbuf-read","arguments":{"device":"zz","size":3}}
<- {"error":{"class":"GenericError","desc":"Device 'zz' not found"}}
-> {"execute":"chardev-send-break","arguments":{"id":"zz"}}
<- {"error":{"class":"GenericError","desc":"Chardev 'zz' not found"}}
-> {"execute":"chardev-change","arguments":{"id":"c1","backend":{"type":"nosuch","data":{}}}}
<- {"error":{"class":"GenericError","desc":"'nosuch' is not a valid char driver name"}}
-> {"execute":"chardev-change","arguments":{"id":"c1","backend":{"type":"pty","data":{}}}}
<- {"return":{"pty":"~/dev/pts/[0-9]+"}}
-> {"execute":"chardev-change","arguments":{"id":"c1","backend":{"type":"ringbuf","data":{"size":32}}}}
<- {"return":{}}
-> {"execute":"chardev-change","arguments":{"id":"zz","backend":{"type":"null","data":{}}}}
<- {"error":{"class":"GenericError","desc":"Chardev 'zz' not found"}}
-> {"execute":"chardev-remove","arguments":{"id":"c1"}}
<- {"return":{}}
-> {"execute":"chardev-remove","arguments":{"id":"zz"}}
<- {"error":{"class":"GenericError","desc":"Chardev 'zz' not found"}}
