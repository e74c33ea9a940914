# Events that a guest's registers cause; those of one kind at most once a
# second, the latest value.
hmp o /b 0x70 9
hmp o /b 0x71 0x31
<- {"timestamp":{"seconds":"*","microseconds":"*"},"event":"RTC_CHANGE","data":{"offset":"*","qom-path":"~/machine/.*"}}
hmp o /b 0x71 0x32
hmp o /b 0x71 0x33
-> {"execute":"query-name"}
<- {"return":{}}
<- {"timestamp":"*","event":"RTC_CHANGE","data":"*"}
-> {"execute":"query-name"}
<- {"return":{}}
