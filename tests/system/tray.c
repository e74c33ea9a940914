/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * tray eject|load DEVICE: moves the tray of a CD drive, in the guest.
 */
#include <fcntl.h>
#include <linux/cdrom.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

int main(int argc, char **argv)
{
	int fd = argc == 3 ? open(argv[2], O_RDONLY | O_NONBLOCK) : -1;

	if (fd < 0 ||
	    ioctl(fd, strcmp(argv[1], "load") ? CDROMEJECT : CDROMCLOSETRAY)) {
		perror("tray");
		return 1;
	}
	return 0;
}
