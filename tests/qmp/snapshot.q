# Overlays for drives that run: one, several at once, or none.
disk: d.raw 1048576
args: -drive file=$TMP/d.raw,format=raw,if=none,id=a
-> {"execute":"blockdev-snapshot-sync","arguments":{"device":"x","snapshot-file":"$TMP/s1"}}
<- {"error":{"class":"GenericError","desc":"Cannot find device='x' nor node-name=''"}}
-> {"execute":"blockdev-snapshot-sync","arguments":{"device":"a","snapshot-file":"$TMP/s1","mode":"x"}}
<- {"error":{"class":"GenericError","desc":"Parameter 'mode' does not accept value 'x'"}}
-> {"execute":"blockdev-snapshot-sync","arguments":{"device":"a"}}
<- {"error":{"class":"GenericError","desc":"Parameter 'snapshot-file' is missing"}}
-> {"execute":"blockdev-snapshot-sync","arguments":{"device":"a","snapshot-file":"$TMP/s1","format":"qcow2"}}
<- {"return":{}}
-> {"execute":"transaction","arguments":{"actions":[{"type":"blockdev-snapshot-sync","data":{"device":"a","snapshot-file":"$TMP/s2"}},{"type":"abort","data":{}}]}}
<- {"error":{"class":"GenericError","desc":"Transaction aborted using Abort action"}}
-> {"execute":"transaction","arguments":{"actions":[{"type":"blockdev-snapshot-sync","data":{"device":"a","snapshot-file":"$TMP/s2","mode":"existing"}}]}}
<- {"error":{"class":"GenericError","desc":"Could not open '$TMP/s2': No such file or directory"}}
-> {"execute":"transaction","arguments":{"actions":[{"type":"blockdev-snapshot-sync","data":{"device":"a","snapshot-file":"$TMP/s2"}},{"type":"blockdev-snapshot-sync","data":{"device":"a","snapshot-file":"$TMP/s3"}}]}}
<- {"error":{"class":"GenericError","desc":"drive 'a' is named twice"}}
-> {"execute":"transaction","arguments":{"actions":[{"type":"bogus","data":{}}]}}
<- {"error":{"class":"GenericError","desc":"Parameter 'type' does not accept value 'bogus'"}}
-> {"execute":"transaction","arguments":{"actions":[{"type":"abort"}]}}
<- {"error":{"class":"GenericError","desc":"Parameter 'data' is missing"}}
-> {"execute":"transaction","arguments":{"actions":7}}
<- {"error":{"class":"GenericError","desc":"Invalid parameter type for 'actions', expected: array"}}
-> {"execute":"transaction","arguments":{"actions":[]}}
<- {"return":{}}
-> {"execute":"query-block"}
<- {"return":[{"device":"a","inserted":{"file":"$TMP/s1","...":0},"...":0}]}
-> {"execute":"transaction","arguments":{"actions":[{"type":"blockdev-snapshot-sync","data":{"device":"a","snapshot-file":"$TMP/s2"}}]}}
<- {"return":{}}
-> {"execute":"query-block"}
<- {"return":[{"device":"a","inserted":{"file":"$TMP/s2","backing_file_depth":2,"...":0},"...":0}]}
