# The watchdog, driven through its registers as a guest's driver would.
args: -device i6300esb,id=w,addr=5 -boot order=dc -watchdog-action none
(qemu) o /w 0xcf8 0x80002810
(qemu) o /w 0xcfc 0xe0100000
(qemu) o /w 0xcf8 0x80002804
(qemu) o /h 0xcfc 2
(qemu) watchdog_action bogus
Error: invalid parameter value: bogus
(qemu) watchdog_action
watchdog_action: string expected
Try "help watchdog_action" for more information
(qemu) watchdog_action pause
(qemu) o /w 0xcf8 0x80002868
(qemu) info status
VM status: running
# Enabled, with the longest stages: more than 15 minutes each.
(qemu) o /b 0xcfc 2
(qemu) info qtree
...
      dev: i6300esb, id "w"
...
        enabled, stage 1
...
(qemu) info status
VM status: running
(qemu) o /b 0xcfc 0
# Wake, and the order of drives in CMOS RAM.
(qemu) system_wakeup
Error: Unable to wake up: guest is not in suspended state
(qemu) i /b 0x70.0x3d
portb[0x0071] = 0x23
(qemu) boot_set nca
boot device list now set to nca
(qemu) i /b 0x70.0x3d
portb[0x0071] = 0x24
(qemu) i /b 0x70.0x38
portb[0x0071] = 0x10
(qemu) boot_set x
Invalid boot device 'x'
(qemu) boot_set cc
Boot device 'c' was given twice
(qemu) boot_set e
Invalid boot device for PC: 'e'
(qemu) boot_set acdn
Too many boot devices for PC
