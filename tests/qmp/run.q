# Run control and its events.
run: yes
-> {"execute":"query-status"}
<- {"return":{"status":"running","running":true,"singlestep":false}}
-> {"execute":"stop"}
<- {"timestamp":{"seconds":"*","microseconds":"*"},"event":"STOP"}
<- {"return":{}}
-> {"execute":"stop"}
<- {"return":{}}
-> {"execute":"query-status"}
<- {"return":{"status":"paused","running":false,"singlestep":false}}
-> {"execute":"cont","id":"c"}
<- {"timestamp":"*","event":"RESUME"}
<- {"return":{},"id":"c"}
hmp stop
<- {"timestamp":"*","event":"STOP"}
-> {"execute":"system_reset"}
<- {"timestamp":"*","event":"RESET","data":{"guest":false,"reason":"host-qmp-system-reset"}}
<- {"return":{}}
-> {"execute":"system_powerdown"}
<- {"timestamp":"*","event":"POWERDOWN"}
<- {"return":{}}
-> {"execute":"inject-nmi"}
<- {"return":{}}
-> {"execute":"system_wakeup"}
<- {"error":{"class":"GenericError","desc":"Unable to wake up: guest is not in suspended state"}}
-> {"execute":"watchdog-set-action","arguments":{"action":"pause"}}
<- {"return":{}}
-> {"execute":"watchdog-set-action","arguments":{"action":"bogus"}}
<- {"error":{"class":"GenericError","desc":"Parameter 'action' does not accept value 'bogus'"}}
-> {"execute":"quit","id":"bye"}
<- {"timestamp":"*","event":"SHUTDOWN","data":{"guest":false,"reason":"host-qmp-quit"}}
<- {"return":{},"id":"bye"}
end
