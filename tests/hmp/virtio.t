# Virtio devices without a driver; tests/system/test_monitor.py has one.
disk: d.raw 1048576
args: -drive file=$TMP/d.raw,format=raw,if=none,id=h -device virtio-blk-pci,drive=h,id=b -device virtio-rng-pci -device virtio-serial-pci,id=vs
(qemu) info virtio
/machine/peripheral/vs/virtio-backend [virtio-serial]
/machine/peripheral-anon/{any}/virtio-backend [virtio-rng]
/machine/peripheral/b/virtio-backend [virtio-blk]
(qemu) info virtqueue
b (virtio-blk) queue 0: off
/machine/peripheral-anon/{any} (virtio-rng) queue 0: off
vs (virtio-serial) queue 0: off
(qemu) info virtqueue -j
[{"device": "b", "name": "virtio-blk", "queue": 0, "state": "off", "inuse": 0}, {any}]
(qemu) info virtqueue .
invalid char '.' in expression
Try "help info virtqueue" for more information
(qemu) info virtio-status /machine/peripheral/b/virtio-backend
/machine/peripheral/b/virtio-backend:
  device_name:             virtio-blk 
  device_id:               2
  vhost_started:           false
  bus_name:                (null)
  broken:                  false
  disabled:                false
  disable_legacy_check:    false
  started:                 false
  use_started:             true
  start_on_kick:           false
  use_guest_notifier_mask: true
  vm_running:              true
  num_vqs:                 {num}
  queue_sel:               0
  isr:                     0
  endianness:              little
  status:

  Guest features:

  Host features:
	VIRTIO_RING_F_EVENT_IDX: {any},
	VIRTIO_RING_F_INDIRECT_DESC: {any},
...
	VIRTIO_BLK_F_FLUSH: {any},
...
  Backend features:

(qemu) info virtio-status vs
/machine/peripheral/vs/virtio-backend:
  device_name:             virtio-serial 
  device_id:               3
  vhost_started:           false
  bus_name:                vs.0
...
(qemu) info virtio-status x
Error: Path x is not a VirtIODevice
(qemu) info virtio-status
virtio-status: string expected
Try "help info virtio-status" for more information
(qemu) info virtio-queue-status b 0
/machine/peripheral/b/virtio-backend:
  device_name:          virtio-blk
  queue_index:          0
  inuse:                0
  used_idx:             0
  signalled_used:       0
  signalled_used_valid: false
  last_avail_idx:       0
  shadow_avail_idx:     0
  VRing:
    num:          256
    num_default:  256
    align:        4096
    desc:         0x0000000000000000
    avail:        0x0000000000000000
    used:         0x0000000000000000
(qemu) info virtio-queue-status b 99
Error: Invalid virtqueue number 99
(qemu) info virtio-queue-element b 0
Error: The queue is not in use by the guest
(qemu) info virtio-queue-element x 0
Error: Path x is not a VirtIODevice
(qemu) info virtio-vhost-queue-status b 0
Error: Error: vhost device has not started yet
(qemu) info virtio-vhost-queue-status x 0
Error: Path x is not a VirtIODevice
