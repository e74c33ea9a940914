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

int main(void)
{
	Suite *s = suite_create("vcpu");
	TCase *tc = tcase_create("vcpu");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, an_alarm_dies_before_its_accelerator);
	tcase_add_test(tc, nobody_is_kicked_at_the_end);
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
