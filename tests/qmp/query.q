# What can be asked of a machine.
disk: d.raw 1048576
args: -smp 2 -name vm1 -uuid 01234567-89ab-cdef-0123-456789abcdef -drive file=$TMP/d.raw,format=raw,if=none,id=hd0 -device virtio-blk-pci,drive=hd0,id=blk0 -drive file=$GUEST,format=raw,if=none,id=hd1,readonly=on
-> {"execute":"query-version"}
<- {"return":{"qemu":{"major":7,"minor":2,"micro":"*"},"package":"~vmon .*"}}
-> {"execute":"query-kvm"}
<- {"return":{"enabled":"*","present":true}}
-> {"execute":"query-name"}
<- {"return":{"name":"vm1"}}
-> {"execute":"query-uuid"}
<- {"return":{"UUID":"01234567-89ab-cdef-0123-456789abcdef"}}
-> {"execute":"query-target"}
<- {"return":{"arch":"x86_64"}}
-> {"execute":"query-current-machine"}
<- {"return":{"wakeup-suspend-support":false}}
-> {"execute":"query-machines"}
<- {"return":[{"name":"pc","is-default":true,"cpu-max":"*","...":0},"..."]}
-> {"execute":"query-command-line-options","arguments":{"option":"chardev"}}
<- {"return":[{"option":"chardev","parameters":[{"name":"*","type":"~string|number|boolean|size","...":0},"..."]}]}
-> {"execute":"query-command-line-options","arguments":{"option":"drive"}}
<- {"return":[{"option":"drive","parameters":[{"name":"*","type":"~string|number|boolean|size","...":0},"..."]}]}
-> {"execute":"query-command-line-options","arguments":{"option":"smp"}}
<- {"return":[{"option":"smp","parameters":[{"name":"*","type":"number","...":0},"..."]}]}
-> {"execute":"query-command-line-options","arguments":{"option":"rtc"}}
<- {"return":[{"option":"rtc","parameters":[{"name":"*","type":"~string|boolean","...":0},"..."]}]}
-> {"execute":"query-command-line-options","arguments":{"option":"m"}}
<- {"return":[{"option":"m","parameters":[]}]}
-> {"execute":"query-command-line-options"}
<- {"return":[{"option":"*","parameters":["..."]},"..."]}
-> {"execute":"query-command-line-options","arguments":{"option":"nosuch"}}
<- {"error":{"class":"GenericError","desc":"invalid option name: nosuch"}}
-> {"execute":"query-cpu-definitions"}
<- {"return":[{"name":"*","typename":"~.*-x86_64-cpu","static":false,"migration-safe":true,"deprecated":false,"unavailable-features":["..."]},"..."]}
-> {"execute":"query-cpus-fast"}
<- {"return":[{"thread-id":"*","props":{"core-id":0,"thread-id":0,"socket-id":0},"qom-path":"/machine/unattached/device[0]","cpu-index":0,"target":"x86_64"},{"cpu-index":1,"...":0}]}
-> {"execute":"query-hotpluggable-cpus"}
<- {"return":[{"props":"*","vcpus-count":1,"qom-path":"/machine/unattached/device[1]","type":"~.*-x86_64-cpu"},{"qom-path":"/machine/unattached/device[0]","...":0}]}
-> {"execute":"query-memory-size-summary"}
<- {"return":{"base-memory":16777216,"plugged-memory":0}}
-> {"execute":"query-memory-devices"}
<- {"return":[]}
-> {"execute":"query-iothreads"}
<- {"return":[]}
-> {"execute":"query-mice"}
<- {"return":[]}
-> {"execute":"query-jobs"}
<- {"return":[]}
-> {"execute":"query-block-jobs"}
<- {"return":[]}
-> {"execute":"query-chardev"}
<- {"return":[{"label":"compat_monitor0","filename":"~unix:.*,server=on.*","frontend-open":true},{"label":"compat_monitor1","...":0}]}
-> {"execute":"query-chardev-backends"}
<- {"return":[{"name":"*"},"..."]}
-> {"execute":"query-block"}
<- {"return":[{"device":"hd0","locked":false,"removable":false,"type":"unknown","io-status":"ok","qdev":"/machine/peripheral/blk0/virtio-backend","inserted":{"drv":"raw","ro":false,"file":"$TMP/d.raw","node-name":"~#block.*","backing_file_depth":0,"detect_zeroes":"off","encrypted":false,"write_threshold":0,"bps":0,"bps_rd":0,"bps_wr":0,"iops":0,"iops_rd":0,"iops_wr":0,"cache":{"no-flush":false,"direct":false,"writeback":true},"image":{"virtual-size":1048576,"filename":"$TMP/d.raw","format":"raw","actual-size":"*","dirty-flag":false}}},{"device":"hd1","inserted":{"ro":true,"...":0},"...":0}]}
-> {"execute":"query-named-block-nodes"}
<- {"return":[{"node-name":"~#block.*","drv":"raw","...":0},"..."]}
-> {"execute":"query-blockstats"}
<- {"return":[{"device":"hd0","node-name":"*","qdev":"/machine/peripheral/blk0/virtio-backend","stats":{"rd_bytes":0,"wr_bytes":0,"unmap_bytes":0,"rd_operations":0,"flush_operations":0,"failed_rd_operations":0,"wr_total_time_ns":0,"timed_stats":[],"...":0}},"..."]}
-> {"execute":"block_resize","arguments":{"device":"hd0","size":2097152}}
<- {"return":{}}
-> {"execute":"block_resize","arguments":{"device":"x","size":10}}
<- {"error":{"class":"GenericError","desc":"Cannot find device='x' nor node-name=''"}}
-> {"execute":"query-pci"}
<- {"return":[{"bus":0,"devices":[{"slot":0,"class_info":{"class":1536,"desc":"Host bridge"},"...":0},"..."]}]}
-> {"execute":"query-commands"}
<- {"return":[{"name":"qmp_capabilities"},"..."]}
-> {"execute":"query-events"}
<- {"return":[{"name":"*"},"..."]}
-> {"execute":"query-qmp-schema"}
<- {"return":[{"name":"any","meta-type":"builtin","json-type":"value"},"..."]}
-> {"execute":"memsave","arguments":{"val":0,"size":10,"filename":"/nonexistent/x"}}
<- {"error":{"class":"GenericError","desc":"Could not open '/nonexistent/x': No such file or directory"}}
-> {"execute":"memsave","arguments":{"val":0,"size":10,"filename":"$TMP/m","cpu-index":9}}
<- {"error":{"class":"GenericError","desc":"Parameter 'cpu-index' expects a CPU number"}}
-> {"execute":"pmemsave","arguments":{"val":0,"size":4096,"filename":"$TMP/m"}}
<- {"return":{}}
-> {"execute":"x-vmon-query-login"}
<- {"return":{"seen":false}}
-> {"execute":"x-vmon-execute","arguments":{"command-line":"info name"}}
<- {"return":{"ok":true,"errno":0,"output":"vm1\r\n"}}
-> {"execute":"x-vmon-execute","arguments":{"command-line":"info name","json":true}}
<- {"return":{"ok":true,"errno":0,"output":"{\"name\": \"vm1\"}\r\n"}}
-> {"execute":"x-vmon-execute","arguments":{"command-line":"set_link x on"}}
<- {"return":{"ok":false,"errno":"*","output":"Error: Device 'x' not found\r\n"}}
-> {"execute":"x-vmon-execute","arguments":{"command-line":"nosuch"}}
<- {"return":{"ok":false,"errno":"*","output":"unknown command: 'nosuch'\r\n"}}
-> {"execute":"device-list-properties","arguments":{"typename":"virtio-blk-pci"}}
<- {"return":[{"name":"*","type":"*","...":0},"..."]}
-> {"execute":"device-list-properties","arguments":{"typename":"nosuch"}}
<- {"error":{"class":"DeviceNotFound","desc":"Class 'nosuch' not found"}}
-> {"execute":"qom-list-types","arguments":{"implements":"virtio-net-pci","abstract":false}}
<- {"return":[{"name":"virtio-net-pci","parent":"device"}]}
-> {"execute":"query-acpi-ospm-status"}
<- {"return":[]}
-> {"execute":"query-fdsets"}
<- {"return":[]}
-> {"execute":"query-migrate"}
<- {"return":{}}
-> {"execute":"query-tpm"}
<- {"return":[]}
-> {"execute":"query-tpm-models"}
<- {"return":[]}
-> {"execute":"query-tpm-types"}
<- {"return":[]}
-> {"execute":"query-vnc"}
<- {"return":{"enabled":false}}
-> {"execute":"query-yank"}
<- {"return":[]}
