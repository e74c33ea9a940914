# Words, unknown names, and what is said of them.
(qemu)
(qemu)    
(qemu) nosuch
unknown command: 'nosuch'
(qemu) nosuch arg1 arg2
unknown command: 'nosuch'
(qemu) info nosuch
unknown command: 'info nosuch'
(qemu) info/status
unknown command: 'info'
(qemu) info  status
VM status: running
(qemu) info status/x
status: extraneous characters at the end of line
Try "help info status" for more information
(qemu) # comment
unknown command: '#'
(qemu) p 1; p 2
print|p: extraneous characters at the end of line
Try "help p" for more information
(qemu) stop now
stop|s: extraneous characters at the end of line
Try "help stop" for more information
(qemu) info version extra
version: extraneous characters at the end of line
Try "help info version" for more information
(qemu) Info version
unknown command: 'Info'
did you mean 'info'?
(qemu) inf version
unknown command: 'inf'
did you mean 'info'?
(qemu) system_rest
unknown command: 'system_rest'
did you mean 'system_reset'?
(qemu) info regsiters
unknown command: 'info regsiters'
did you mean 'info registers'?
# names that QEMU has and vmon has not
(qemu) savevm x
savevm: {any}
(qemu) info usb
Error: USB support not enabled
(qemu) info vnc
Server: disabled
(qemu) usb_add tablet
usb_add: there is no USB controller
(qemu) help savevm
savevm  -- not available: {any}
