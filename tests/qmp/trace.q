# Trace points.
-> {"execute":"trace-event-set-state","arguments":{"name":"irq_*","enable":true}}
<- {"return":{}}
-> {"execute":"trace-event-get-state","arguments":{"name":"irq_line"}}
<- {"return":[{"name":"irq_line","state":"enabled","vcpu":false}]}
-> {"execute":"trace-event-get-state","arguments":{"name":"nosuch*"}}
<- {"return":[]}
-> {"execute":"trace-event-set-state","arguments":{"name":"nosuch","enable":true}}
<- {"error":{"class":"GenericError","desc":"unknown event \"nosuch\""}}
-> {"execute":"trace-event-set-state","arguments":{"name":"nosuch","enable":true,"ignore-unavailable":true}}
<- {"return":{}}
-> {"execute":"trace-event-get-state","arguments":{"name":"nosuch"}}
<- {"error":{"class":"GenericError","desc":"unknown event \"nosuch\""}}
-> {"execute":"trace-event-get-state","arguments":{"name":"irq_line","vcpu":0}}
<- {"error":{"class":"GenericError","desc":"event \"irq_line\" is not vCPU-specific"}}
