# The tray of a CD drive: events, and what query-block says of it.
disk: d.raw 1048576
args: -drive file=$TMP/d.raw,format=raw,if=ide,index=2,media=cdrom
-> {"execute":"eject","arguments":{"device":"ide1-cd0"}}
<- {"timestamp":"*","event":"DEVICE_TRAY_MOVED","data":{"device":"ide1-cd0","id":"~/machine/.*","tray-open":true}}
<- {"return":{}}
-> {"execute":"query-block"}
<- {"return":[{"device":"ide1-cd0","locked":false,"removable":true,"tray_open":true,"io-status":"ok","type":"unknown","qdev":"~/machine/.*"}]}
-> {"execute":"blockdev-change-medium","arguments":{"device":"ide1-cd0","filename":"$TMP/none"}}
<- {"error":{"class":"GenericError","desc":"~Could not open.*"}}
-> {"execute":"blockdev-change-medium","arguments":{"device":"ide1-cd0","filename":"$TMP/d.raw","format":"raw"}}
<- {"timestamp":"*","event":"DEVICE_TRAY_MOVED","data":{"device":"ide1-cd0","id":"*","tray-open":false}}
<- {"return":{}}
-> {"execute":"blockdev-change-medium","arguments":{"device":"ide1-cd0","filename":"$TMP/d.raw","format":"raw","force":true}}
<- {"timestamp":"*","event":"DEVICE_TRAY_MOVED","data":{"device":"ide1-cd0","id":"*","tray-open":true}}
<- {"timestamp":"*","event":"DEVICE_TRAY_MOVED","data":{"device":"ide1-cd0","id":"*","tray-open":false}}
<- {"return":{}}
-> {"execute":"query-block"}
<- {"return":[{"locked":false,"removable":true,"tray_open":false,"inserted":{"ro":true,"...":0},"...":0}]}
