# Keys for programs.
run: yes
-> {"execute":"send-key","arguments":{"keys":[{"type":"qcode","data":"ctrl"},{"type":"number","data":30}],"hold-time":1}}
<- {"return":{}}
-> {"execute":"send-key","arguments":{"keys":[]}}
<- {"return":{}}
-> {"execute":"send-key","arguments":{"keys":[{"type":"qcode","data":"bogus"}]}}
<- {"error":{"class":"GenericError","desc":"Parameter 'data' does not accept value 'bogus'"}}
-> {"execute":"send-key","arguments":{"keys":[{"type":"number","data":"a"}]}}
<- {"error":{"class":"GenericError","desc":"*"}}
-> {"execute":"send-key","arguments":{"keys":"a"}}
<- {"error":{"class":"GenericError","desc":"*"}}
-> {"execute":"send-key"}
<- {"error":{"class":"GenericError","desc":"Parameter 'keys' is missing"}}
