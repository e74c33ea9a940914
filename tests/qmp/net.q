-> {"execute":"netdev_add","arguments":{"type":"user","id":"n1","hostfwd":[{"str":"tcp:127.0.0.1:0-:22"}]}}
<- {"return":{}}
-> {"execute":"netdev_add","arguments":{"type":"user","id":"n1"}}
<- {"error":{"class":"GenericError","desc":"~Duplicate ID 'n1'.*"}}
-> {"execute":"netdev_add","arguments":{"type":"bogus","id":"n2"}}
<- {"error":{"class":"GenericError","desc":"Parameter 'type' does not accept value 'bogus'"}}
-> {"execute":"netdev_add","arguments":{"type":"user"}}
<- {"error":{"class":"GenericError","desc":"Parameter 'id' is missing"}}
-> {"execute":"set_link","arguments":{"name":"n1","up":false}}
<- {"return":{}}
-> {"execute":"announce-self","arguments":{"initial":50,"max":550,"rounds":5,"step":50}}
<- {"return":{}}
-> {"execute":"netdev_del","arguments":{"id":"n1"}}
<- {"return":{}}
-> {"execute":"netdev_del","arguments":{"id":"n1"}}
<- {"error":{"class":"DeviceNotFound","desc":"Device 'n1' not found"}}
