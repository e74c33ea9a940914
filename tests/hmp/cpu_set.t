# vCPUs in sockets: the guest here knows nothing of ACPI, so what it is asked
# to let go of leaves at a reset.
args: -smp 2,maxcpus=4
(qemu) info config
...
    -smp 2,maxcpus=4
(qemu) info cpus
* CPU #0: pc=0x{hex} (halted) thread_id={num}
  CPU #1: pc=0x{hex} (halted) thread_id={num}
(qemu) cpu 2
invalid CPU index
(qemu) cpu_set 2 online
(qemu) info cpus
* CPU #0: pc=0x{hex} (halted) thread_id={num}
  CPU #1: pc=0x{hex} (halted) thread_id={num}
  CPU #2: pc=0x00000000fffffff0 (halted) thread_id={num}
(qemu) cpu 2
(qemu) info registers

CPU#2
...
(qemu) cpu_set 2 online
Error: CPU 2 is online already
(qemu) cpu-add 3
(qemu) cpu-add 3
Error: CPU 3 is online already
(qemu) info config
...
    -smp cpus=4,maxcpus=4,sockets={num},cores={num},threads={num}
...
(qemu) info hotpluggable-cpus -j
[{"props": {"core-id": 3, "thread-id": 0, "socket-id": 0}, "vcpus-count": 1, "qom-path": "/machine/unattached/device[3]", "type": "qemu64-x86_64-cpu"}, {any}]
(qemu) cpu_set 0 offline
Error: CPU 0 is the boot processor and stays
(qemu) cpu_set 4 online
Error: there is no socket for CPU 4; the last is CPU 3 (see -smp maxcpus=)
(qemu) cpu_set 4294967295 offline
Error: there is no socket for CPU 4294967295; the last is CPU 3 (see -smp maxcpus=)
(qemu) cpu_set 1 away
Error: a CPU can be online or offline, not 'away'
(qemu) cpu_set -w never 1 offline
Error: -w takes seconds, not 'never'
(qemu) cpu_set 1
cpu_set: string expected
Try "help cpu_set" for more information
(qemu) cpu_set -w 0.1 2 offline
Error: the guest has not let go of 'CPU 2' in 0.1 s
(qemu) info registers -a

CPU#0
...
CPU#3
...
(qemu) stop
(qemu) system_reset
wait: info cpus -j ~ ^(?!.*"CPU": 2).*"CPU": 3
(qemu) info cpus
* CPU #0: pc=0x{hex}{any} thread_id={num}
  CPU #1: pc=0x{hex}{any} thread_id={num}
  CPU #3: pc=0x{hex}{any} thread_id={num}
(qemu) cpu_set 2 offline
Error: CPU 2 is not online
(qemu) info hotpluggable-cpus
Hotpluggable CPUs:
  type: "qemu64-x86_64-cpu"
  vcpus_count: "1"
  qom_path: "/machine/unattached/device[3]"
  CPUInstance Properties:
    socket-id: "0"
    core-id: "3"
    thread-id: "0"
  type: "qemu64-x86_64-cpu"
  vcpus_count: "1"
  CPUInstance Properties:
    socket-id: "0"
    core-id: "2"
    thread-id: "0"
...
(qemu) cpu_set 2 online
(qemu) cont
(qemu) info status
VM status: running
