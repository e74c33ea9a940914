# Nodes as drives: they outlive their device.
disk: d.raw 1048576
args: -drive if=none,id=plain
-> {"execute":"blockdev-add","arguments":{"driver":"raw","node-name":"n1","read-only":false,"cache":{"direct":false,"no-flush":false},"discard":"unmap","file":{"driver":"file","filename":"$TMP/d.raw"}}}
<- {"return":{}}
-> {"execute":"query-block"}
<- {"return":[{"device":"plain","...":0}]}
-> {"execute":"query-named-block-nodes"}
<- {"return":[{"node-name":"n1","drv":"raw","file":"$TMP/d.raw","ro":false,"...":0}]}
# what is taken or wrong
-> {"execute":"blockdev-add","arguments":{"driver":"raw","node-name":"n1","file":{"driver":"file","filename":"/dev/null"}}}
<- {"error":{"class":"GenericError","desc":"~.*'n1' exists already"}}
-> {"execute":"blockdev-add","arguments":{"driver":"raw","node-name":"n2","file":{"driver":"file","filename":"$TMP/nosuch"}}}
<- {"error":{"class":"GenericError","desc":"~Could not open '$TMP/nosuch': No such file or directory"}}
-> {"execute":"blockdev-add","arguments":{"driver":"bogus","node-name":"n2","file":{"driver":"file","filename":"x"}}}
<- {"error":{"class":"GenericError","desc":"Parameter 'driver' does not accept value 'bogus'"}}
-> {"execute":"blockdev-add","arguments":{"driver":"raw","node-name":"n2","file":{"driver":"nbd","filename":"x"}}}
<- {"error":{"class":"GenericError","desc":"Parameter 'file.driver' does not accept value 'nbd'"}}
-> {"execute":"blockdev-add","arguments":{"driver":"raw","node-name":"n2","file":{"filename":"x"}}}
<- {"error":{"class":"GenericError","desc":"Parameter 'file.driver' is missing"}}
-> {"execute":"blockdev-add","arguments":{"driver":"raw","node-name":"n2"}}
<- {"error":{"class":"GenericError","desc":"Parameter 'file' is missing"}}
-> {"execute":"blockdev-add","arguments":{"driver":"raw","node-name":"n2","file":"n1"}}
<- {"error":{"class":"GenericError","desc":"'file' must be an object: it cannot name another node"}}
-> {"execute":"blockdev-add","arguments":{"driver":"raw","file":{"driver":"file","filename":"x"}}}
<- {"error":{"class":"GenericError","desc":"'node-name' must be specified for the root node"}}
-> {"execute":"blockdev-add","arguments":{"driver":"file","node-name":"n2"}}
<- {"error":{"class":"GenericError","desc":"Parameter 'filename' is missing"}}
-> {"execute":"blockdev-add","arguments":{"node-name":"n2"}}
<- {"error":{"class":"GenericError","desc":"Parameter 'driver' is missing"}}
-> {"execute":"blockdev-add","arguments":{"driver":"file","node-name":"n2","filename":"x","id":"y"}}
<- {"error":{"class":"GenericError","desc":"Parameter 'id' is unexpected"}}
-> {"execute":"blockdev-del","arguments":{"node-name":"n2"}}
<- {"error":{"class":"GenericError","desc":"Failed to find node with node-name='n2'"}}
-> {"execute":"blockdev-del","arguments":{"node-name":"plain"}}
<- {"error":{"class":"GenericError","desc":"Node plain is not owned by the monitor"}}
-> {"execute":"blockdev-add","arguments":{"driver":"file","node-name":"n2345678901234567890123456789012","filename":"x"}}
<- {"error":{"class":"GenericError","desc":"Node name too long"}}
-> {"execute":"block_resize","arguments":{"node-name":"n1","size":2097152}}
<- {"return":{}}
-> {"execute":"block_resize","arguments":{"node-name":"n7","size":2097152}}
<- {"error":{"class":"GenericError","desc":"Cannot find device='' nor node-name='n7'"}}
# a device comes and goes
-> {"execute":"device_add","arguments":{"driver":"virtio-blk-pci","id":"b0","drive":"n1"}}
<- {"return":{}}
-> {"execute":"query-block"}
<- {"return":[{"device":"plain","...":0},{"device":"","qdev":"/machine/peripheral/b0/virtio-backend","inserted":{"node-name":"n1","...":0},"...":0}]}
-> {"execute":"human-monitor-command","arguments":{"command-line":"info block n1"}}
<- {"return":"~.*n1: $TMP/d.raw \\(raw\\)\r\n    Attached to:      /machine/peripheral/b0/virtio-backend\r\n.*"}
-> {"execute":"blockdev-del","arguments":{"node-name":"n1"}}
<- {"error":{"class":"GenericError","desc":"Node n1 is in use"}}
-> {"execute":"device_del","arguments":{"id":"b0"}}
<- {"return":{}}
-> {"execute":"system_reset"}
<? {"timestamp":"*","event":"DEVICE_DELETED","data":{"device":"b0","path":"/machine/peripheral/b0"}}
-> {"execute":"query-named-block-nodes","id":"still"}
<? {"return":[{"node-name":"n1","...":0}],"id":"still"}
-> {"execute":"blockdev-del","arguments":{"node-name":"n1"}}
<- {"return":{}}
-> {"execute":"query-named-block-nodes"}
<- {"return":[]}
# a file alone is raw
-> {"execute":"blockdev-add","arguments":{"driver":"file","node-name":"n1","filename":"$TMP/d.raw","read-only":true,"locking":"off"}}
<- {"return":{}}
-> {"execute":"query-named-block-nodes"}
<- {"return":[{"node-name":"n1","drv":"raw","ro":true,"...":0}]}
