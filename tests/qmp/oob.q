# exec-oob, once it was asked for.
raw: yes
-> {"execute":"qmp_capabilities","arguments":{"enable":["oob"]},"id":0}
<- {"return":{},"id":0}
-> {"exec-oob":"query-name","id":1}
<- {"return":{},"id":1}
-> {"exec-oob":"stop","id":2}
<- {"error":{"class":"GenericError","desc":"The command stop does not support OOB"},"id":2}
-> {"exec-oob":"nosuch","id":3}
<- {"error":{"class":"CommandNotFound","desc":"The command nosuch has not been found"},"id":3}
# It overtakes a command that goes on in the background.
-> {"execute":"pmemsave","arguments":{"val":0,"size":16777216,"filename":"$TMP/mem"},"id":4}{"execute":"query-name","id":5}{"exec-oob":"query-status","id":6}
<- {"return":{"...":0,"status":"prelaunch"},"id":6}
<- {"return":{},"id":4}
<- {"return":{},"id":5}
