/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A whole machine for the fuzzers, new for every input: chips, disk, NIC,
 * balloon, two vCPUs whose threads never start, and one session on a chardev
 * whose peer is the input.  It cannot leave its scratch folder: what opens
 * files, sockets and processes is wrapped at link time.
 */
#ifndef TESTS_FUZZ_MACHINE_H
#define TESTS_FUZZ_MACHINE_H

#include "lib/types.h"

/* Plays `data` to a session of that mode ("control", "script"; "gdb": to the
 * debugger's stub; NULL: for people), at most `piece` bytes at once. */
void fuzz_session(const char *mode, const u8 *data, size_t len, size_t piece);

/* The fence stands; libFuzzer itself lives outside. */
extern bool fuzz_fenced;

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#endif
