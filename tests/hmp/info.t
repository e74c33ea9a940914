# What the machine is.
args: -name testvm -uuid 12345678-1234-5678-1234-567812345678
(qemu) info version
7.2.0 (vmon {num}.{num}.{num})
(qemu) info name
testvm
(qemu) info uuid
12345678-1234-5678-1234-567812345678
(qemu) info name -j
{"name": "testvm"}
(qemu) info status -j
{"status": "running", "running": true}
(qemu) info kvm
kvm support: {re:enabled|disabled}
(qemu) info kvm -v
kvm support: {re:enabled|disabled}
...
(qemu) info cpus
* CPU #0: pc=0x0000000000100102 (halted) thread_id={num}
(qemu) info memory_size_summary
base memory: 16777216
plugged memory: 0
# insight into a Linux guest, which this one is not; see tests/system
(qemu) info symbols
Error: the guest runs no Linux that I understand (no VMCOREINFO in its memory)
(qemu) info symbols schedule
Error: the guest runs no Linux that I understand (no VMCOREINFO in its memory)
(qemu) info backtrace -a
Error: the guest runs no Linux that I understand (no VMCOREINFO in its memory)
(qemu) info dmesg
Error: the guest runs no Linux that I understand (no VMCOREINFO in its memory)
(qemu) info dmesg 10 -j
Error: the guest runs no Linux that I understand (no VMCOREINFO in its memory)
(qemu) info tasks
Error: the guest runs no Linux that I understand (no VMCOREINFO in its memory)
(qemu) p schedule
invalid char 's' in expression
Try "help p" for more information
(qemu) info numa
0 nodes
(qemu) info iothreads
(qemu) info ramblock
              Block Name    PSize              Offset               Used              Total
...
                  pc.ram    4 KiB  0x0000000000000000 0x0000000001000000 0x0000000001000000
...
(qemu) info chardev
compat_monitor0: filename=unix:$TMP/monitor,server=on
(qemu) info mtree
address-space: memory
  0000000000000000-ffffffffffffffff (prio 0, i/o): system
...
    00000000fec00000-00000000fec00fff (prio {num}, i/o): ioapic
...
address-space: I/O
  0000000000000000-000000000000ffff (prio 0, i/o): io
...
(qemu) info mtree -f
FlatView #{num}
 AS "memory", root: system
 Root memory region: system
...
FlatView #{num}
 AS "I/O", root: io
...
(qemu) info mtree -o
address-space: memory
  0000000000000000-ffffffffffffffff (prio 0, i/o): system
...
    00000000fec00000-00000000fec00fff (prio {num}, i/o): ioapic owner:{dev path=/machine/{any}}
...
(qemu) info mtree -f -d
FlatView #{num}
 AS "memory", root: system
...
  Dispatch ({num} ranges, binary search)
    #0 @{hex}..{hex} {any} [{num}..{num} bytes]{any}
...
FlatView #{num}
 AS "I/O", root: io
...
(qemu) info mtree -dfoD
FlatView #{num}
...
(qemu) info memdev
memory backend: pc.ram
  size:  16777216
  merge: false
  dump: true
  prealloc: false
  share: true
  reserve: false
  policy: default
  host nodes: 

(qemu) info memory-devices
(qemu) info boot
{re: {5}}0.000 s  vmon was started
{re: +\d+\.\d{3}} s  the machine was built
{re: +\d+\.\d{3}} s  vCPUs entered the kernel
(qemu) info boot -j
[{"event": "start", "seconds": 0.0, "what": "vmon"}, {"event": "built", "seconds": {re:[0-9.e-]+}, "what": "pc"}, {"event": "entry", "seconds": {re:[0-9.e-]+}, "what": "kernel"}]
(qemu) info boot now
boot: extraneous characters at the end of line
Try "help info boot" for more information
(qemu) info hotpluggable-cpus
Hotpluggable CPUs:
  type: "qemu64-x86_64-cpu"
  vcpus_count: "1"
  qom_path: "/machine/unattached/device[0]"
  CPUInstance Properties:
    socket-id: "0"
    core-id: "0"
    thread-id: "0"
(qemu) info hotpluggable-cpus -j
[{"props": {"core-id": 0, "thread-id": 0, "socket-id": 0}, "vcpus-count": 1, "qom-path": "/machine/unattached/device[0]", "type": "qemu64-x86_64-cpu"}]
(qemu) info vm-generation-id
Error: VM Generation ID device not found
(qemu) info steal
CPU #0: ran {num}.{num} s, waited {num}.{num} s for a processor of the host ({num}.{num} %); the guest has not asked
(qemu) info steal -j
[{"cpu-index": 0, "ran-ns": {num}, "waited-ns": {num}}]
(qemu) info stats vcpu
provider: vmon
    exits (cumulative): {num}
    io_exits (cumulative): {num}
    mmio_exits (cumulative): {num}
    halt_exits (cumulative): {num}
    irq_injections (cumulative): {num}
    kicks (cumulative): {num}
    emulated_insns (cumulative): {num}
(qemu) info stats vm kicks,exits
provider: vmon
    exits (cumulative): {num}
    kicks (cumulative): {num}
(qemu) info stats -r vm exits
provider: vmon
    exits (cumulative): {num}
(qemu) info stats vm exits -r
provider: vmon
    exits (cumulative): {num} ({num}/s)
(qemu) info stats vm exits kvm
Error: invalid parameter value: kvm
(qemu) info stats bogus
Error: invalid parameter value: bogus
(qemu) info stats
stats: string expected
Try "help info stats" for more information
(qemu) info pci
  Bus  0, device   0, function 0:
    Host bridge: PCI device {hex}:{hex}
...
(qemu) info qtree
bus: main-system-bus
  type System
...
    bus: pci.0
      type PCI
...
(qemu) info pic
ioapic0: ver=0x{hex} id=0x{hex} sel=0x{hex}{any}
  pin 0  0x{hex} dest={num} vec={num} {any}
...
pic1: irr={hex} imr={hex} isr={hex} hprio={num} irq_base={hex} rr_sel={num} elcr={hex} fnm={num}
pic0: irr={hex} imr={hex} isr={hex} hprio={num} irq_base={hex} rr_sel={num} elcr={hex} fnm={num}
(qemu) info irq
IRQ statistics for ioapic:
...
IRQ statistics for isa-i8259:
...
(qemu) info lapic
dumping local APIC state for CPU 0 

LVT0	 0x{hex} {any}
...
(qemu) info lapic 5
No CPU available
(qemu) info roms
addr={hex} size=0x{hex} mem=ram name="$GUEST"
addr={hex} size=0x{hex} mem=ram name="cmdline"
(qemu) info block
(qemu) info block nosuch
(qemu) info block -z
block: unsupported option -z
Try "help info block" for more information
(qemu) info blockstats
(qemu) info network
(qemu) info usernet
(qemu) info history
0: 'info version'
...
{num}: 'info history'
