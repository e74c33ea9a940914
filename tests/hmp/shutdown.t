# A guest that switched off stays, with -no-shutdown, until it is reset.
args: -no-shutdown
(qemu) info status
VM status: running
(qemu) o/h 0x604 0x2000
wait: info status ~ VM status: paused \(shutdown\)
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
