# No IDT: the NMI ends in a triple fault, and that in a reset.
args: -no-reboot -no-shutdown
(qemu) nmi
wait: info status ~ shutdown
(qemu) info status
VM status: paused (shutdown)
(qemu) cont
Error: Resetting the Virtual Machine is required
(qemu) system_reset
wait: info status ~ prelaunch
(qemu) cont
(qemu) info status
VM status: running
