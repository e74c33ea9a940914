# quit says nothing; the connection ends.
(qemu) quit now
quit|q: extraneous characters at the end of line
Try "help quit" for more information
(qemu) quit
