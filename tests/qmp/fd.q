# Descriptors that do not come; tests/hmp/fds.py passes some.
-> {"execute":"getfd","arguments":{"fdname":"x"}}
<- {"error":{"class":"GenericError","desc":"No file descriptor supplied via SCM_RIGHTS"}}
-> {"execute":"closefd","arguments":{"fdname":"x"}}
<- {"error":{"class":"GenericError","desc":"File descriptor named 'x' not found"}}
-> {"execute":"add-fd","arguments":{"fdset-id":1}}
<- {"error":{"class":"GenericError","desc":"No file descriptor supplied via SCM_RIGHTS"}}
-> {"execute":"remove-fd","arguments":{"fdset-id":1}}
<- {"error":{"class":"GenericError","desc":"File descriptor named 'fdset-id:1' not found"}}
-> {"execute":"remove-fd","arguments":{"fdset-id":1,"fd":3}}
<- {"error":{"class":"GenericError","desc":"File descriptor named 'fdset-id:1, fd:3' not found"}}
-> {"execute":"query-fdsets"}
<- {"return":[]}
