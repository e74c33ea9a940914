# The human tongue within QMP.
args: -smp 2
-> {"execute":"human-monitor-command","arguments":{"command-line":"info status"}}
<- {"return":"VM status: paused (prelaunch)\r\n"}
-> {"execute":"human-monitor-command","arguments":{"command-line":"nosuch"}}
<- {"return":"unknown command: 'nosuch'\r\n"}
-> {"execute":"human-monitor-command","arguments":{"command-line":"p/x 5"}}
<- {"return":"0x5\r\n"}
# Each is a session of its own.
-> {"execute":"human-monitor-command","arguments":{"command-line":"p 16"}}
<- {"return":"16\r\n"}
-> {"execute":"human-monitor-command","arguments":{"command-line":"info cpus","cpu-index":1}}
<- {"return":"~  CPU #0: .*\r\n\\* CPU #1: .*\r\n"}
-> {"execute":"human-monitor-command","arguments":{"command-line":"info cpus","cpu-index":2}}
<- {"error":{"class":"GenericError","desc":"Parameter 'cpu-index' expects a CPU number"}}
-> {"execute":"human-monitor-command","arguments":{"command-line":"set_link x on"}}
<- {"return":"Error: Device 'x' not found\r\n"}
-> {"execute":"human-monitor-command","arguments":{"command-line":"pmemsave 0 4096 $TMP/m"},"id":1}
<- {"return":"","id":1}
-> {"execute":"human-monitor-command","arguments":{"command-line":"quit extra"}}
<- {"return":"quit|q: extraneous characters at the end of line\r\nTry \"help quit\" for more information\r\n"}
-> {"execute":"human-monitor-command","arguments":{"command-line":"quit"}}
<- {"timestamp":"*","event":"SHUTDOWN","data":{"guest":false,"reason":"host-qmp-quit"}}
<- {"return":""}
end
