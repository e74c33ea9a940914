/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The list of processes that begins at init_task.
 *
 * The list changes while it is read; an entry that was just freed may lead
 * astray.  The walk ends at the first pointer that does not fit, says so,
 * and never goes round.
 */
#include <errno.h>
#include <string.h>

#include "insight/internal.h"
#include "lib/bytes.h"
#include "lib/err.h"

#define TASKS_MAX 100000

enum task_field {
	TASK_NEXT,
	TASK_PREV,
	TASK_PID,
	TASK_COMM,
	TASK_STATE,
	TASK_MM,
	TASK_PARENT,
	TASK_ON_CPU,
	TASK_CPU,
	TASK_FIELDS
};

/* In task_struct; the second name is that of older kernels. */
static const char *const task_members[TASK_FIELDS][2] = {
	[TASK_NEXT] = { "tasks.next" },
	[TASK_PREV] = { "tasks.prev" },
	[TASK_PID] = { "tgid" },
	[TASK_COMM] = { "comm" },
	[TASK_STATE] = { "__state", "state" },
	[TASK_MM] = { "mm" },
	[TASK_PARENT] = { "real_parent" },
	[TASK_ON_CPU] = { "on_cpu" },
	[TASK_CPU] = { "thread_info.cpu", "cpu" },
};

struct task_layout {
	u32 at[TASK_FIELDS];
};

static int task_layout(struct insight *ins, struct task_layout *ret,
		       struct err *err)
{
	int r = ins_btf_load(ins, err);

	for (int i = 0; i < TASK_FIELDS && !r; i++) {
		const char *const *names = task_members[i];

		if (!ins_btf_offset(ins, "task_struct", names[0],
				    &ret->at[i]) &&
		    !(names[1] && ins_btf_offset(ins, "task_struct", names[1],
						 &ret->at[i])))
			r = err_set(err, -ENOTSUP,
				    "Linux %s has a task_struct without '%s'",
				    ins->release, names[0]);
	}
	return r;
}

static bool task_read(const struct insight *ins, const struct task_layout *l,
		      u64 task, struct insight_task *ret)
{
	u64 mm = 0, parent = 0;
	u32 pid = 0, on_cpu = 0, cpu = 0, ppid = 0;
	bool ok = ins_read_u32(ins, task + l->at[TASK_PID], &pid) &&
		  ins_read_u32(ins, task + l->at[TASK_STATE], &ret->state) &&
		  ins_read_u64(ins, task + l->at[TASK_MM], &mm) &&
		  ins_read_u64(ins, task + l->at[TASK_PARENT], &parent) &&
		  ins_read_u32(ins, task + l->at[TASK_ON_CPU], &on_cpu) &&
		  ins_read_u32(ins, task + l->at[TASK_CPU], &cpu) &&
		  ins_read(ins, task + l->at[TASK_COMM], ret->comm, 16);

	/* The parent may go away under us: then it is not known. */
	if (!ok || !ins_read_u32(ins, parent + l->at[TASK_PID], &ppid))
		ppid = 0;
	ret->comm[16] = '\0';
	ins_printable(ret->comm, strlen(ret->comm));
	ret->addr = task;
	ret->pid = pid;
	ret->ppid = ppid;
	ret->cpu = cpu;
	ret->running = on_cpu;
	ret->kernel = !mm;
	return ok;
}

int insight_tasks(struct insight *ins, insight_task_fn *fn, void *arg,
		  struct err *err)
{
	struct task_layout l;
	u64 head, at, prev;
	int r;

	if (!insight_find(ins, "init_task", &head))
		return err_set(err, -ENOTSUP,
			       "Linux %s does not name its init_task",
			       ins->release);
	r = task_layout(ins, &l, err);
	if (r < 0)
		return r;
	at = head;
	for (int n = 0; n < TASKS_MAX; n++) {
		struct insight_task t = { 0 };
		u64 next, back;

		if (!task_read(ins, &l, at, &t) ||
		    !ins_read_u64(ins, at + l.at[TASK_NEXT], &next))
			return err_set(err, -EFAULT,
				       "the task at %#llx cannot be read",
				       (unsigned long long)at);
		fn(arg, &t);
		prev = at + l.at[TASK_NEXT];
		at = next - l.at[TASK_NEXT];
		if (at == head)
			return 0;
		if (!ins_read_u64(ins, at + l.at[TASK_PREV], &back) ||
		    back != prev)
			return err_set(err, -EFAULT,
				       "the list of tasks leads astray after "
				       "pid %d",
				       t.pid);
	}
	return err_set(err, -E2BIG, "stopped after %d tasks", TASKS_MAX);
}
