# The balloon, with a guest that has no driver for it.
args: -m 64 -device virtio-balloon-pci,id=b0
(qemu) info balloon
balloon: actual=64
(qemu) balloon 32
(qemu) info balloon
balloon: actual=64
(qemu) balloon 0
Error: Parameter 'target' expects a size
(qemu) balloon 1G
balloon: extraneous characters at the end of line
Try "help balloon" for more information
(qemu) info balloon -s
Error: the guest has not sent statistics (yet)
(qemu) info balloon -x
balloon: unsupported option -x
Try "help info balloon" for more information
