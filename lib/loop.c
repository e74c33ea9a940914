/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Event loop over epoll.
 *
 * epoll's user data is a slot number and that slot's generation, never a
 * pointer: an event that was collected before its watch was removed (by
 * another callback, or by another thread while this one waited without the
 * lock) finds a different generation and is dropped.
 *
 * Locking: see loop.h; post_lock is a leaf and guards the posted calls.
 */
#include "lib/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/lock.h"

#define LOOP_EVENTS 64
#define LOOP_WAKE   UINT64_MAX /* epoll data of the eventfd */

struct loop_slot {
	struct watch *watch; /* NULL while free */
	u32 gen;
};

struct loop_call {
	void (*fn)(void *arg);
	void *arg;
	struct list node;
};

struct loop {
	int epoll_fd, wake_fd;
	struct lock *lock; /* borrowed; may be NULL */
	_Atomic bool quit;

	struct loop_slot *slots;
	u32 slot_count;
	u32 always_count; /* watches that epoll refuses */

	struct list timers; /* by deadline */
	struct list hooks;
	struct loop_hook *next_hook; /* survives removals while iterating */

	bool waiting; /* in epoll_wait(), until wait_end_ns */
	u64 wait_end_ns;

	struct lock post_lock;
	struct list calls GUARDED_BY_MEMBER(post_lock);
};

static void loop_wake(struct loop *loop)
{
	u64 one = 1;

	/* Fails only when the counter is full, which wakes just as well. */
	while (write(loop->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* Before the posted calls are taken, never after: a later post finds an
 * empty queue and counts on its wake-up. */
static void loop_drain_wake(struct loop *loop)
{
	u64 count;

	while (read(loop->wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

/* Another thread changed what the waiting loop must see by `deadline_ns`. */
static void loop_recheck(struct loop *loop, u64 deadline_ns)
{
	if (loop->waiting && deadline_ns < loop->wait_end_ns)
		loop_wake(loop);
}

struct loop *loop_create(void)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = LOOP_WAKE };
	struct loop *loop = xalloc(sizeof(*loop));

	lock_init(&loop->post_lock);
	list_init(&loop->timers);
	list_init(&loop->hooks);
	list_init(&loop->calls);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->epoll_fd < 0 || loop->wake_fd < 0 ||
	    epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &ev) < 0) {
		int saved = errno;

		loop_destroy(loop);
		errno = saved;
		return NULL;
	}
	return loop;
}

void loop_destroy(struct loop *loop)
{
	struct loop_call *call, *tmp;

	if (!loop)
		return;
	for (u32 i = 0; i < loop->slot_count; i++)
		if (loop->slots[i].watch)
			watch_remove(loop->slots[i].watch);
	while (!list_empty(&loop->timers))
		list_remove(loop->timers.next);
	while (!list_empty(&loop->hooks))
		loop_hook_remove(
			list_first(&loop->hooks, struct loop_hook, node));
	lock_acquire(&loop->post_lock);
	list_for_each_safe (call, tmp, &loop->calls, node)
		free(call);
	lock_release(&loop->post_lock);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	lock_fini(&loop->post_lock);
	free(loop->slots);
	free(loop);
}

void loop_set_lock(struct loop *loop, struct lock *lock)
{
	loop->lock = lock;
}

void loop_quit(struct loop *loop)
{
	atomic_store(&loop->quit, true);
	loop_wake(loop);
}

void loop_post(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	struct loop_call *call = xalloc(sizeof(*call));
	bool first;

	call->fn = fn;
	call->arg = arg;
	lock_acquire(&loop->post_lock);
	first = list_empty(&loop->calls);
	list_append(&loop->calls, &call->node);
	lock_release(&loop->post_lock);
	if (first)
		loop_wake(loop);
}

/* Runs what is queued now; calls posted meanwhile wait for the next round,
 * so that a call which posts itself cannot keep the loop. */
static void loop_run_calls(struct loop *loop)
{
	struct loop_call *call;
	struct list todo;

	list_init(&todo);
	lock_acquire(&loop->post_lock);
	if (!list_empty(&loop->calls)) {
		list_insert(&loop->calls, &todo);
		list_remove(&loop->calls);
	}
	lock_release(&loop->post_lock);
	while ((call = list_first(&todo, struct loop_call, node))) {
		list_remove(&call->node);
		call->fn(call->arg);
		free(call);
	}
}

static u32 loop_to_epoll(u32 events)
{
	return (events & LOOP_IN ? EPOLLIN : 0u) |
	       (events & LOOP_OUT ? EPOLLOUT : 0u);
}

static u32 loop_from_epoll(u32 events)
{
	return (events & EPOLLIN ? LOOP_IN : 0u) |
	       (events & EPOLLOUT ? LOOP_OUT : 0u) |
	       (events & (EPOLLHUP | EPOLLERR) ? LOOP_HUP : 0u);
}

static int watch_control(struct watch *w, int op)
{
	struct loop *loop = w->loop;
	u64 gen = loop->slots[w->slot].gen;
	struct epoll_event ev = { .events = loop_to_epoll(w->events),
				  .data.u64 = gen << 32 | w->slot };

	if (epoll_ctl(loop->epoll_fd, op, w->fd, &ev) < 0)
		return -errno;
	w->polled = op != EPOLL_CTL_DEL;
	return 0;
}

static u32 loop_free_slot(struct loop *loop)
{
	u32 old = loop->slot_count;

	for (u32 i = 0; i < old; i++)
		if (!loop->slots[i].watch)
			return i;
	loop->slot_count = old ? 2 * old : 16;
	loop->slots = xrealloc(loop->slots,
			       loop->slot_count * sizeof(loop->slots[0]));
	memset(loop->slots + old, 0,
	       (loop->slot_count - old) * sizeof(loop->slots[0]));
	return old;
}

int watch_add(struct watch *w, struct loop *loop, int fd, u32 events,
	      void (*fn)(void *arg, u32 events), void *arg)
{
	int r;

	w->loop = loop;
	w->fd = fd;
	w->events = events;
	w->fn = fn;
	w->arg = arg;
	w->always = false;
	w->polled = false;
	w->slot = loop_free_slot(loop);
	loop->slots[w->slot].watch = w;
	r = watch_control(w, EPOLL_CTL_ADD);
	if (r == -EPERM) {
		w->always = true;
		loop->always_count++;
		if (events)
			loop_recheck(loop, 0);
		return 0;
	}
	if (r < 0) {
		loop->slots[w->slot].watch = NULL;
		w->loop = NULL;
		return r;
	}
	if (!events)
		watch_control(w, EPOLL_CTL_DEL);
	return 0;
}

void watch_set(struct watch *w, u32 events)
{
	if (!w->loop || w->events == events)
		return;
	w->events = events;
	if (w->always) {
		if (events)
			loop_recheck(w->loop, 0);
		return;
	}
	if (!events)
		watch_control(w, EPOLL_CTL_DEL);
	else
		watch_control(w, w->polled ? EPOLL_CTL_MOD : EPOLL_CTL_ADD);
}

void watch_remove(struct watch *w)
{
	struct loop *loop = w->loop;

	if (!loop)
		return;
	if (w->polled)
		watch_control(w, EPOLL_CTL_DEL);
	if (w->always)
		loop->always_count--;
	loop->slots[w->slot].watch = NULL;
	loop->slots[w->slot].gen++;
	w->loop = NULL;
}

static void loop_dispatch(struct loop *loop, const struct epoll_event *ev)
{
	u32 slot = (u32)ev->data.u64;
	u32 gen = ev->data.u64 >> 32;
	struct watch *w;
	u32 events;

	if (ev->data.u64 == LOOP_WAKE)
		return;
	w = loop->slots[slot].watch;
	if (!w || loop->slots[slot].gen != gen || !w->events)
		return;
	events = loop_from_epoll(ev->events) & (w->events | LOOP_HUP);
	if (events)
		w->fn(w->arg, events);
}

static void loop_dispatch_always(struct loop *loop)
{
	u32 count = loop->always_count ? loop->slot_count : 0;

	for (u32 i = 0; i < count; i++) {
		struct watch *w = loop->slots[i].watch;

		if (w && w->always && w->events)
			w->fn(w->arg, w->events);
	}
}

static bool loop_has_always(const struct loop *loop)
{
	u32 count = loop->always_count ? loop->slot_count : 0;

	for (u32 i = 0; i < count; i++) {
		const struct watch *w = loop->slots[i].watch;

		if (w && w->always && w->events)
			return true;
	}
	return false;
}

void timer_init(struct timer *t, struct loop *loop, void (*fn)(void *),
		void *arg)
{
	t->loop = loop;
	t->deadline_ns = 0;
	t->fn = fn;
	t->arg = arg;
	list_init(&t->node);
}

void timer_set(struct timer *t, u64 deadline_ns)
{
	struct timer *pos;

	list_remove(&t->node);
	t->deadline_ns = deadline_ns;
	list_for_each (pos, &t->loop->timers, node)
		if (pos->deadline_ns > deadline_ns)
			break;
	list_append(&pos->node, &t->node);
	loop_recheck(t->loop, deadline_ns);
}

void timer_cancel(struct timer *t)
{
	if (t->loop)
		list_remove(&t->node);
}

bool timer_armed(const struct timer *t)
{
	return t->loop && !list_empty(&t->node);
}

/* What is due goes to a list of its own first: a timer that its callback
 * arms for a time already past fires in the next round. */
static void loop_run_timers(struct loop *loop)
{
	u64 now = list_empty(&loop->timers) ? 0 : clock_mono_ns();
	struct list due;
	struct timer *t;

	list_init(&due);
	while ((t = list_first(&loop->timers, struct timer, node)) &&
	       t->deadline_ns <= now) {
		list_remove(&t->node);
		list_append(&due, &t->node);
	}
	while ((t = list_first(&due, struct timer, node))) {
		list_remove(&t->node);
		t->fn(t->arg);
	}
}

static struct loop_hook *loop_hook_after(struct loop *loop, struct list *node)
{
	return node->next == &loop->hooks
		       ? NULL
		       : list_entry(node->next, struct loop_hook, node);
}

void loop_hook_add(struct loop *loop, struct loop_hook *h)
{
	h->loop = loop;
	list_append(&loop->hooks, &h->node);
}

void loop_hook_remove(struct loop_hook *h)
{
	if (!h->loop)
		return;
	if (h->loop->next_hook == h)
		h->loop->next_hook = loop_hook_after(h->loop, &h->node);
	list_remove(&h->node);
	h->loop = NULL;
}

static void loop_hooks_prepare(struct loop *loop, u64 *timeout_ns)
{
	struct loop_hook *h = loop_hook_after(loop, &loop->hooks);

	for (; h; h = loop->next_hook) {
		loop->next_hook = loop_hook_after(loop, &h->node);
		if (h->prepare)
			h->prepare(h->arg, timeout_ns);
	}
}

static void loop_hooks_check(struct loop *loop)
{
	struct loop_hook *h = loop_hook_after(loop, &loop->hooks);

	for (; h; h = loop->next_hook) {
		loop->next_hook = loop_hook_after(loop, &h->node);
		if (h->check)
			h->check(h->arg);
	}
}

static u64 loop_timeout(struct loop *loop, u64 timeout_ns)
{
	struct timer *first;

	loop_hooks_prepare(loop, &timeout_ns);
	/* After the hooks, which may arm timers. */
	first = list_first(&loop->timers, struct timer, node);
	if (first && timeout_ns) {
		u64 now = clock_mono_ns();
		u64 left =
			first->deadline_ns > now ? first->deadline_ns - now : 0;

		timeout_ns = MIN(timeout_ns, left);
	}
	if (loop_has_always(loop) || atomic_load(&loop->quit))
		timeout_ns = 0;
	return timeout_ns;
}

/* epoll_pwait2() for the nanoseconds; kernels before 5.11 lack it. */
static int loop_epoll(struct loop *loop, struct epoll_event *events,
		      u64 timeout_ns)
{
	struct timespec ts = { .tv_sec = timeout_ns / NS_PER_S,
			       .tv_nsec = timeout_ns % NS_PER_S };
	u64 ms = timeout_ns / NS_PER_MS + (timeout_ns % NS_PER_MS != 0);
	int n;

	n = epoll_pwait2(loop->epoll_fd, events, LOOP_EVENTS,
			 timeout_ns == UINT64_MAX ? NULL : &ts, NULL);
	if (n < 0 && errno == ENOSYS)
		n = epoll_wait(loop->epoll_fd, events, LOOP_EVENTS,
			       timeout_ns == UINT64_MAX
				       ? -1
				       : (int)MIN(ms, (u64)INT32_MAX));
	return MAX(n, 0);
}

static int loop_wait(struct loop *loop, struct epoll_event *events,
		     u64 timeout_ns) NO_TSA
{
	u64 now = clock_mono_ns();
	int n;

	loop->wait_end_ns =
		timeout_ns > UINT64_MAX - now ? UINT64_MAX : now + timeout_ns;
	loop->waiting = true;
	if (loop->lock)
		lock_release(loop->lock);
	n = loop_epoll(loop, events, timeout_ns);
	if (loop->lock)
		lock_acquire(loop->lock);
	loop->waiting = false;
	return n;
}

void loop_once(struct loop *loop, u64 timeout_ns) NO_TSA
{
	struct epoll_event events[LOOP_EVENTS];
	bool take = loop->lock && !lock_held(loop->lock);
	int n;

	if (take)
		lock_acquire(loop->lock);
	n = loop_wait(loop, events, loop_timeout(loop, timeout_ns));
	for (int i = 0; i < n; i++)
		if (events[i].data.u64 == LOOP_WAKE)
			loop_drain_wake(loop);
	loop_run_calls(loop);
	for (int i = 0; i < n; i++)
		loop_dispatch(loop, &events[i]);
	loop_dispatch_always(loop);
	loop_run_timers(loop);
	loop_hooks_check(loop);
	if (take)
		lock_release(loop->lock);
}

void loop_run(struct loop *loop)
{
	while (!atomic_load(&loop->quit))
		loop_once(loop, UINT64_MAX);
	atomic_store(&loop->quit, false);
}
