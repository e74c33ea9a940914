/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Host clocks in nanoseconds.
 */
#ifndef LIB_CLOCK_H
#define LIB_CLOCK_H

#include "lib/types.h"

u64 clock_mono_ns(void);     /* CLOCK_MONOTONIC */
u64 clock_realtime_ns(void); /* CLOCK_REALTIME, since 1970 */

#endif
