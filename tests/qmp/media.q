# Images of drives that no device uses come and go.
disk: d.raw 1048576
args: -drive file=$TMP/d.raw,format=raw,if=none,id=a
-> {"execute":"eject","arguments":{"device":"a","force":true}}
<- {"return":{}}
-> {"execute":"query-block"}
<- {"return":[{"device":"a","locked":false,"removable":true,"type":"unknown"}]}
-> {"execute":"blockdev-change-medium","arguments":{"device":"a","filename":"$TMP/d.raw","format":"raw","read-only-mode":"read-only"}}
<- {"return":{}}
-> {"execute":"query-block"}
<- {"return":[{"device":"a","inserted":{"ro":true,"...":0},"...":0}]}
-> {"execute":"eject","arguments":{"id":"x"}}
<- {"error":{"class":"DeviceNotFound","desc":"Device 'x' not found"}}
-> {"execute":"blockdev-change-medium","arguments":{"filename":"x"}}
<- {"error":{"class":"GenericError","desc":"Need exactly one of 'device' and 'id'"}}
