# A guest that switched off stays, with -no-shutdown, until it is reset.
args: -no-shutdown
(qemu) system_powerdown -w 0.05
Error: the guest has not shut down in 0.05 s
(qemu) system_powerdown -w no
Error: -w takes seconds, not 'no'
(qemu) info status
VM status: running
(qemu) o/h 0x604 0x2000
wait: info status ~ VM status: paused \(shutdown\)
(qemu) system_powerdown -w 5
(qemu) cont
Error: Resetting the Virtual Machine is required
(qemu) info status
VM status: paused (shutdown)
(qemu) stop
(qemu) info status
VM status: paused (shutdown)
(qemu) system_reset
wait: info status ~ VM status: paused \(prelaunch\)
(qemu) cont
wait: info cpus ~ pc=0x0000000000100102 \(halted\)
(qemu) info status
VM status: running
(qemu) o/h 0x604 0x2000
wait: info status ~ VM status: paused \(shutdown\)
