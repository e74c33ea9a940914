# Without -name and -uuid.
(qemu) info name
(qemu) info name -j
{}
(qemu) info uuid
00000000-0000-0000-0000-000000000000
