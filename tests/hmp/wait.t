# Waiting, and what happened.
args: -name vm1
(qemu) wait status=running
(qemu) stop
(qemu) wait status=paused 5
(qemu) wait status=running 0.05
Error: that did not come in 0.05 s
(qemu) wait event=RESUME 0.05
Error: that did not come in 0.05 s
(qemu) wait status=bogus
Error: there is no state 'bogus'
(qemu) wait event=bogus
Error: there is no event 'bogus'
(qemu) wait login
Error: waits for status=STATE or event=NAME
(qemu) wait status=running soon
Error: takes seconds, not 'soon'
(qemu) wait status=running 1e30
Error: takes seconds, not '1e30'
(qemu) wait
{re:wait}: string expected
Try "help wait" for more information
(qemu) set syntax on
(qemu) wait status=running 0.01 && p 1; p 2
Error: that did not come in 0.01 s
2
(qemu) set syntax off
(qemu) cont
(qemu) info events
...
{num}-{num}-{num} {num}:{num}:{num}.{num} STOP
{num}-{num}-{num} {num}:{num}:{num}.{num} RESUME
(qemu) info events 1
{num}-{num}-{num} {num}:{num}:{num}.{num} RESUME
(qemu) info events -j
[{"timestamp": {"seconds": {num}, "microseconds": {num}}, "event": "RESUME"}, {any}]
(qemu) info events 0
