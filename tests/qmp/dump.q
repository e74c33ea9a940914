-> {"execute":"query-dump"}
<- {"return":{"status":"none","completed":0,"total":0}}
-> {"execute":"query-dump-guest-memory-capability"}
<- {"return":{"formats":["elf","kdump-zlib"]}}
-> {"execute":"dump-guest-memory","arguments":{"paging":false,"protocol":"fd:x"}}
<- {"error":{"class":"GenericError","desc":"Invalid parameter 'protocol'; accepted: file:PATH"}}
-> {"execute":"dump-guest-memory","arguments":{"paging":false,"protocol":"file:$TMP/core","format":"kdump-lzo"}}
<- {"error":{"class":"GenericError","desc":"Parameter 'format' does not accept value 'kdump-lzo'"}}
-> {"execute":"dump-guest-memory","arguments":{"paging":false,"protocol":"file:$TMP/core","begin":0}}
<- {"error":{"class":"GenericError","desc":"Parameter 'length' is missing"}}
-> {"execute":"dump-guest-memory","arguments":{"paging":false,"protocol":"file:/nonexistent/core"}}
<- {"error":{"class":"GenericError","desc":"Could not open '/nonexistent/core': No such file or directory"}}
-> {"execute":"dump-guest-memory","arguments":{"paging":false,"protocol":"file:$TMP/core"},"id":1}
<- {"return":{},"id":1}
-> {"execute":"query-dump"}
<- {"return":{"status":"completed","completed":"*","total":"*"}}
