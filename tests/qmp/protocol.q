# Negotiation, ids, error classes, and how garbage is survived.
raw: yes
-> {"execute":"query-status","id":1}
<- {"error":{"class":"CommandNotFound","desc":"Expecting capabilities negotiation with 'qmp_capabilities'"},"id":1}
-> {"execute":"qmp_capabilities","arguments":{"enable":["bogus"]}}
<- {"error":{"class":"GenericError","desc":"Parameter 'enable' does not accept value 'bogus'"}}
-> {"execute":"qmp_capabilities","arguments":{"enable":1}}
<- {"error":{"class":"GenericError","desc":"Invalid parameter type for 'enable', expected: array"}}
-> {"execute":"qmp_capabilities","arguments":{"x":1}}
<- {"error":{"class":"GenericError","desc":"Parameter 'x' is unexpected"}}
-> {"execute":"qmp_capabilities"}
<- {"return":{}}
-> {"execute":"qmp_capabilities"}
<- {"error":{"class":"CommandNotFound","desc":"Capabilities negotiation is already complete, command ignored"}}
-> {"execute":"query-status","id":{"a":[1,2.5,"x",null]}}
<- {"return":{"status":"prelaunch","running":false,"singlestep":false},"id":{"a":[1,2.5,"x",null]}}
-> {"execute":"query-name","id":1}{"execute":"query-name","id":2}  {"execute":"query-name","id":3}
<- {"return":{},"id":1}
<- {"return":{},"id":2}
<- {"return":{},"id":3}
-> {"execute":"nosuch","id":7}
<- {"error":{"class":"CommandNotFound","desc":"The command nosuch has not been found"},"id":7}
-> {"execute":"stop","arguments":{"foo":1}}
<- {"error":{"class":"GenericError","desc":"Parameter 'foo' is unexpected"}}
-> {"execute":"stop","foo":1}
<- {"error":{"class":"GenericError","desc":"QMP input member 'foo' is unexpected"}}
-> {"execute":"stop","arguments":3}
<- {"error":{"class":"GenericError","desc":"QMP input member 'arguments' must be an object"}}
-> {"execute":3,"id":4}
<- {"error":{"class":"GenericError","desc":"QMP input member 'execute' must be a string"},"id":4}
-> {"id":5}
<- {"error":{"class":"GenericError","desc":"QMP input lacks member 'execute'"},"id":5}
-> {"exec-oob":"query-status","id":4}
<- {"error":{"class":"GenericError","desc":"QMP input member 'exec-oob' is unexpected"},"id":4}
-> {"exec-oob":"query-status","execute":"query-status"}
<- {"error":{"class":"GenericError","desc":"QMP input member 'execute' clashes with 'exec-oob'"}}
-> [1,2]
<- {"error":{"class":"GenericError","desc":"QMP input must be a JSON object"}}
-> 3
<- {"error":{"class":"GenericError","desc":"QMP input must be a JSON object"}}
-> "str"
<- {"error":{"class":"GenericError","desc":"QMP input must be a JSON object"}}
-> {'execute':'query-name', 'id': 'it\'s "so"'}
<- {"return":{},"id":"it's \"so\""}
-> {"execute":
-> "query-name"
-> }
<- {"return":{}}
-> {"execute":}
<- {"error":{"class":"GenericError","desc":"JSON parse error, expecting value"}}
-> {]
<- {"error":{"class":"GenericError","desc":"JSON parse error, expecting value"}}
-> foo
<- {"error":{"class":"GenericError","desc":"JSON parse error, invalid keyword 'foo'"}}
-> {"execute": foo}
<- {"error":{"class":"GenericError","desc":"JSON parse error, invalid keyword 'foo'"}}
-> {"a":1,"a":2}
<- {"error":{"class":"GenericError","desc":"JSON parse error, duplicate key"}}
-> {"execute":"query-name","id":10}
<- {"return":{},"id":10}
=> \xff
<- {"error":{"class":"GenericError","desc":"JSON parse error, stray '\ufffd'"}}
-> {"execute":"query-name","id":11}
<- {"return":{},"id":11}
=> {"execute":"que\xff{"execute":"query-name","id":12}
<- {"error":{"class":"GenericError","desc":"JSON parse error, stray '\"que\ufffd'"}}
<- {"return":{},"id":12}
=> {"execute":"que\n{"execute":"query-name","id":13}
<- {"error":{"class":"GenericError","desc":"JSON parse error, stray '\"que\n'"}}
<- {"return":{},"id":13}
-> {"execute":"query-name","id":"\ud83d\ude00 \u00e4"}
<- {"return":{},"id":"\ud83d\ude00 \u00e4"}
-> {"execute":"balloon","arguments":{"value":"x"}}
<- {"error":{"class":"GenericError","desc":"Invalid parameter type for 'value', expected: integer"}}
-> {"execute":"balloon","arguments":{"value":1.5}}
<- {"error":{"class":"GenericError","desc":"Invalid parameter type for 'value', expected: integer"}}
-> {"execute":"balloon","arguments":{}}
<- {"error":{"class":"GenericError","desc":"Parameter 'value' is missing"}}
-> {"execute":"balloon"}
<- {"error":{"class":"GenericError","desc":"Parameter 'value' is missing"}}
-> {"execute":"balloon","arguments":{"value":1048576}}
<- {"error":{"class":"DeviceNotActive","desc":"No balloon device has been activated"}}
-> {"execute":"set_link","arguments":{"name":"x","up":1}}
<- {"error":{"class":"GenericError","desc":"Invalid parameter type for 'up', expected: boolean"}}
-> {"execute":"set_link","arguments":{"name":5,"up":true}}
<- {"error":{"class":"GenericError","desc":"Invalid parameter type for 'name', expected: string"}}
-> {"execute":"set_link","arguments":{"name":"x","up":true}}
<- {"error":{"class":"DeviceNotFound","desc":"Device 'x' not found"}}
-> {"execute":"query-balloon"}
<- {"error":{"class":"DeviceNotActive","desc":"No balloon device has been activated"}}
