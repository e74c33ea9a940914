/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Getting a thread out of KVM_RUN: the signal, and an alarm that sends it.
 *
 * Apart from internal.h because <signal.h> and vmm/cpu.h both name registers
 * REG_*.
 */
#ifndef KVM_KVM_KICK_H
#define KVM_KVM_KICK_H

#include <linux/kvm.h>
#include <pthread.h>

#include "lib/types.h"

struct err;

/* Installs the handler, which lasts as long as the process. */
int kvm_kick_init(struct err *err);
/* The calling thread takes kicks from now on, for `run`; NULL: none. */
void kvm_kick_listen(struct kvm_run *run);
/* What kvm_kick_listen() was last given in this thread. */
struct kvm_run *kvm_kick_run(void);
void kvm_kick_thread(pthread_t thread);

/* Kicks the calling thread again and again. */
struct kvm_alarm {
	void *timer; /* timer_t */
};

int kvm_alarm_init(struct kvm_alarm *a);
void kvm_alarm_set(struct kvm_alarm *a, u64 every_ns); /* 0: stop */
void kvm_alarm_fini(struct kvm_alarm *a);

#endif
