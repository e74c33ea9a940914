# The watchdog runs out: two stages of a second each, when its clock is fast.
run: yes
args: -device i6300esb,addr=5 -action watchdog=none
-> {"execute":"watchdog-set-action","arguments":{"action":"pause"}}
<- {"return":{}}
hmp o /w 0xcf8 0x80002860
hmp o /h 0xcfc 4
hmp o /w 0xcf8 0x80002868
hmp o /b 0xcfc 2
<- {"timestamp":"*","event":"WATCHDOG","data":{"action":"pause"}}
<- {"timestamp":"*","event":"STOP"}
-> {"execute":"query-status"}
<- {"return":{"status":"watchdog","running":false,"singlestep":false}}
hmp cont
<- {"timestamp":"*","event":"RESUME"}
-> {"execute":"watchdog-set-action","arguments":{"action":"reset"}}
<- {"return":{}}
hmp o /b 0xcfc 0
hmp o /b 0xcfc 2
<- {"timestamp":"*","event":"WATCHDOG","data":{"action":"reset"}}
<- {"timestamp":"*","event":"RESET","data":{"guest":true,"reason":"guest-reset"}}
