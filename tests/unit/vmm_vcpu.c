/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A vCPU's thread with an accelerator that only looks on.
 */
#include "vmm/vcpu.h"

#include <check.h>
#include <stdatomic.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/lock.h"
#include "vmm/accel.h"
#include "vmm/machine.h"
#include "vmm/vtimer.h"

static _Atomic bool gone;
static _Atomic int late_kicks;

static int watch_create(struct vcpu *v, struct err *err)
{
	return 0;
}

/* Takes longer than the alarm that is set. */
static void watch_destroy(struct vcpu *v)
{
	atomic_store(&gone, true);
	usleep(60000);
}

/* Long enough for the thread to go on meanwhile if it may. */
static void watch_kick(struct vcpu *v)
{
	usleep(5000);
	if (atomic_load(&gone))
		atomic_fetch_add(&late_kicks, 1);
}

static const struct accel_class watch_class = {
	.name = "watch",
	.vcpu_create = watch_create,
	.vcpu_destroy = watch_destroy,
	.kick = watch_kick,
};

static void set_alarm(struct vcpu *v, void *ns)
{
	ck_assert(vcpu_alarm(v, vclock_now(v->m) + *(u64 *)ns));
}

START_TEST(an_alarm_dies_before_its_accelerator)
{
	struct err err = { 0 };
	struct machine *m = machine_create(&err);
	u64 later = 30 * NS_PER_MS;

	ck_assert_ptr_nonnull(m);
	m->accel = &watch_class;
	lock_acquire(&machine_lock);
	vclock_start(m);
	ck_assert_int_eq(vcpu_create(m, 0, &err), 0);
	ck_assert_int_eq(vcpu_start(m->vcpus[0], &err), 0);
	vcpu_run_on(m->vcpus[0], set_alarm, &later);
	machine_destroy_devices(m);
	ck_assert(atomic_load(&gone));
	ck_assert_int_eq(atomic_load(&late_kicks), 0);
	machine_destroy(m);
	lock_release(&machine_lock);
}

END_TEST

START_TEST(nobody_is_kicked_at_the_end)
{
	struct err err = { 0 };
	struct machine *m = machine_create(&err);

	ck_assert_ptr_nonnull(m);
	m->accel = &watch_class;
	lock_acquire(&machine_lock);
	ck_assert_int_eq(vcpu_create(m, 0, &err), 0);
	ck_assert_int_eq(vcpu_start(m->vcpus[0], &err), 0);
	machine_destroy_devices(m);
	ck_assert(atomic_load(&gone));
	ck_assert_int_eq(atomic_load(&late_kicks), 0);
	machine_destroy(m);
	lock_release(&machine_lock);
}

END_TEST

static _Atomic int runs;

static enum vcpu_exit watch_run(struct vcpu *v)
{
	atomic_fetch_add(&runs, 1);
	usleep(100);
	return VCPU_EXIT_AGAIN;
}

static void watch_get(struct vcpu *v)
{
}

static int watch_put(struct vcpu *v)
{
	return 0;
}

static void nothing_on(struct vcpu *v, void *arg)
{
}

/* It runs within a time that is ample, or not at all.  One that is on its way
 * out of a pause wants the machine's lock for a moment. */
static bool does_run(bool expected) REQUIRES(machine_lock)
{
	int before = atomic_load(&runs);
	bool does = false;

	lock_release(&machine_lock);
	for (int i = 0; i < (expected ? 10000 : 30) && !does; i++) {
		usleep(1000);
		does = atomic_load(&runs) > before + 2;
	}
	lock_acquire(&machine_lock);
	return does;
}

START_TEST(an_empty_socket_runs_nothing)
{
	struct accel_class class = watch_class;
	struct err err = { 0 };
	struct machine *m = machine_create(&err);
	struct vcpu *v;

	ck_assert_ptr_nonnull(m);
	class.run = watch_run;
	class.get = watch_get;
	class.put = watch_put;
	class.kick = NULL;
	m->accel = &class;
	lock_acquire(&machine_lock);
	ck_assert_int_eq(vcpu_create(m, 0, &err), 0);
	v = m->vcpus[0];
	atomic_store(&v->unplugged, true);
	ck_assert_ptr_null(vcpu_plugged(m, 0));
	ck_assert_int_eq(vcpu_start(v, &err), 0);
	vcpu_resume_all(m);
	vcpu_request(v, VCPU_REQ_INTR | VCPU_REQ_INIT | VCPU_REQ_SIPI);
	ck_assert(!does_run(false));
	/* It answers, is parked and let go all the same. */
	vcpu_run_on(v, nothing_on, NULL);
	vcpu_pause_all(m);
	vcpu_resume_all(m);
	for (int round = 0; round < 3; round++) {
		vcpu_plug(v);
		ck_assert_ptr_eq(vcpu_plugged(m, 0), v);
		ck_assert(does_run(true));
		vcpu_unplug(v);
		vcpu_run_on(v, nothing_on, NULL);
		ck_assert(!does_run(false));
		ck_assert_uint_eq(atomic_load(&v->request) & VCPU_REQ_WORK, 0);
	}
	/* Plugged in while the machine stands. */
	vcpu_pause_all(m);
	vcpu_plug(v);
	ck_assert_int_eq(m->topo.cpus, 2);
	ck_assert(!does_run(false));
	vcpu_resume_all(m);
	ck_assert(does_run(true));
	machine_destroy_devices(m);
	machine_destroy(m);
	lock_release(&machine_lock);
}

END_TEST

int main(void)
{
	Suite *s = suite_create("vcpu");
	TCase *tc = tcase_create("vcpu");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, an_alarm_dies_before_its_accelerator);
	tcase_add_test(tc, nobody_is_kicked_at_the_end);
	tcase_add_test(tc, an_empty_socket_runs_nothing);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
