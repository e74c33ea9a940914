/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * dump-guest-memory and info dump.
 *
 * The machine stops, a worker writes, the machine goes on if it ran before
 * and nobody decided otherwise meanwhile.  Without -d the session waits, and
 * nobody else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/work.h"
#include "monitor/dump.h"
#include "monitor/internal.h"
#include "vmm/machine.h"
#include "vmm/memory.h"
#include "vmm/runstate.h"
#include "vmm/vcpu.h"

struct dump_job {
	struct work work;
	struct dump dump;
	struct machine *m;
	struct monitor *mon; /* who waits; NULL: detached */
	bool ran;            /* the machine, before */
	int result;
};

/* One at a time.  machine_lock. */
static struct dump_job *dump_now; /* NULL: none goes on */
static const char *dump_status = "none";
static u64 dump_done, dump_total; /* of the last one */

static void dump_run(struct work *w)
{
	struct dump_job *j = container_of(w, struct dump_job, work);

	j->result = dump_write(&j->dump);
}

static void dump_end(struct work *w)
{
	struct dump_job *j = container_of(w, struct dump_job, work);
	struct err err = { 0 };

	dump_status = j->result < 0 ? "failed" : "completed";
	dump_total = atomic_load(&j->dump.total);
	dump_done = j->result < 0 ? atomic_load(&j->dump.done) : dump_total;
	dump_now = NULL;
	if (j->ran && j->m->run.state == RUN_SAVE_VM &&
	    machine_cont(j->m, &err) < 0)
		log_warn("after the dump: %s", err.msg);
	if (j->mon)
		mon_resume(j->mon, &j->dump.err);
	else if (j->result < 0)
		log_warn("dump-guest-memory: %s", j->dump.err.msg);
	dump_fini(&j->dump);
	free(j);
}

/* What -l, -s, -w, -R would need. */
static int dump_check(const struct args *a, struct err *err)
{
	bool zlib = args_has(a, "zlib");

	static const struct {
		const char *key, *name;
	} missing[] = { { "lzo", "lzo" }, { "snappy", "snappy" } };

	for (size_t i = 0; i < ARRAY_SIZE(missing); i++)
		if (args_has(a, missing[i].key))
			return err_set(err, -ENOTSUP,
				       "kdump-%s is not built in; use -z",
				       missing[i].name);
	if (args_has(a, "windmp"))
		return err_set(err, -ENOTSUP,
			       "Windows dumps are not built in; use the "
			       "default");
	if (args_has(a, "raw"))
		return err_set(err, -ENOTSUP,
			       "raw kdump is not needed: a dump is written to "
			       "a file; use -z");
	if (args_has(a, "begin") && !args_has(a, "length"))
		return err_set(err, -EINVAL, "Parameter 'length' is missing");
	if (zlib && (args_has(a, "paging") || args_has(a, "begin")))
		return err_set(err, -EINVAL,
			       "kdump-compressed format doesn't support paging "
			       "or filter");
	if (dump_now)
		return err_set(err, -EBUSY,
			       "There is a dump in process, please wait.");
	return 0;
}

static int dump_limits(struct dump *d, const struct args *a, struct err *err)
{
	u64 length = args_u64(a, "length");
	struct dump_range r;

	d->end = UINT64_MAX;
	if (!args_has(a, "begin"))
		return 0;
	d->begin = args_u64(a, "begin");
	if (!length || length > UINT64_MAX - d->begin)
		return err_set(err, -EINVAL, "Invalid parameter 'length'");
	d->end = d->begin + length;
	if (!dump_range(d, d->begin, &r))
		return err_set(err, -EINVAL, "Invalid parameter 'begin'");
	return 0;
}

static void dump_take_cpus(struct machine *m, struct dump *d, int first)
{
	d->cpus = xcalloc(MAX(m->nvcpus, 1), sizeof *d->cpus);
	for (int i = 0; i < m->nvcpus; i++) {
		int at = d->ncpus;

		if (!vcpu_plugged(m, i))
			continue;
		mon_cpu_copy(m->vcpus[i], &d->cpus[at]);
		d->ncpus++;
		/* The chosen one is the first: its tables serve -p. */
		if (d->paging && i == first && at) {
			struct cpu_state c = d->cpus[0];

			d->cpus[0] = d->cpus[at];
			d->cpus[at] = c;
		}
	}
}

int cmd_dump_guest_memory(struct monitor *mon, const struct args *a,
			  struct err *err)
{
	const char *path = args_str(a, "filename");
	struct machine *m = mon->m;
	struct dump_job *j;
	int r = dump_check(a, err);

	if (r < 0)
		return r;
	j = xalloc(sizeof *j);
	j->dump.mem = &m->mem;
	j->dump.fd = -1;
	j->dump.paging = args_has(a, "paging");
	j->dump.compress = args_has(a, "zlib");
	r = dump_limits(&j->dump, a, err);
	if (!r) {
		j->dump.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
				  0600);
		if (j->dump.fd < 0)
			r = err_errno(err, "Could not open '%s'", path);
	}
	if (r < 0) {
		free(j);
		return r;
	}
	j->m = m;
	j->ran = run_state_running(m);
	if (j->ran)
		machine_stop(m, RUN_SAVE_VM);
	j->dump.path = xstrdup(path);
	dump_take_cpus(m, &j->dump, mon->cpu_index);
	j->work.run = dump_run;
	j->work.done = dump_end;
	j->work.loop = m->loop;
	if (!args_has(a, "detach")) {
		j->mon = mon;
		mon_suspend(mon);
	}
	dump_now = j;
	dump_status = "active";
	work_submit(&j->work);
	return 0;
}

/* ---- info dump ---- */

json_t *query_dump(struct monitor *mon, const struct args *a, struct err *err)
{
	u64 done = dump_now ? atomic_load(&dump_now->dump.done) : dump_done;
	u64 total = dump_now ? atomic_load(&dump_now->dump.total) : dump_total;

	return json_pack("{ss sI sI}", "status", dump_status, "completed",
			 (json_int_t)done, "total", (json_int_t)total);
}

void print_dump(const json_t *v, struct buf *out)
{
	u64 total = val_u64(v, "total");

	buf_printf(out, "Status: %s\n", val_str(v, "status"));
	if (!strcmp(val_str(v, "status"), "active"))
		buf_printf(out, "Finished: %.2f %%\n",
			   total ? 100.0 * (double)val_u64(v, "completed") /
					   (double)total
				 : 0.0);
}
