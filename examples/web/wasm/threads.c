/* Threads: other instances of the module, each in a worker, that share this memory. One job at a time, which
   a thread joins while it is open; who comes too late misses nothing, as the tasks share out the work. */
#include "session.h"

#ifdef __wasm_atomics__

#include <stdlib.h>

enum { STACK_SIZE = 256 * 1024, SPINS = 20000, ACTIVE = 0x7FFF, OPEN = 0x8000, JOINED = 0x10000 };

static struct job {
    vit_task task;
    void *arg;
    int count;
    int ticket; /* one more for each job */
    int state; /* threads besides the caller's that are in it; OPEN; JOINED times those that ever were */
    int can_wait;
} job;

/* Until a number is another than `seen`: spinning for some microseconds, then asleep. */
static void wait_for_change(int *number, int seen) {
    for (int i = 0; i < SPINS; i++)
        if (__atomic_load_n(number, __ATOMIC_ACQUIRE) != seen) return;
    __builtin_wasm_memory_atomic_wait32(number, seen, -1);
}

/* Whether the job at hand was open; index: what to do of it. */
static int join(int *index) {
    int state = __atomic_load_n(&job.state, __ATOMIC_ACQUIRE);
    while (state & OPEN) {
        *index = state / JOINED + 1;
        if (__atomic_compare_exchange_n(&job.state, &state, state + JOINED + 1, 0, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            return 1;
    }
    return 0;
}

static void leave(void) {
    if ((__atomic_sub_fetch(&job.state, 1, __ATOMIC_ACQ_REL) & (OPEN | ACTIVE)) == 0)
        __builtin_wasm_memory_atomic_notify(&job.state, 1);
}

/* What a worker does; it does not return. */
void WEB_EXPORT(web_thread)(void) {
    int seen = 0, index;
    for (;;) {
        wait_for_change(&job.ticket, seen);
        seen = __atomic_load_n(&job.ticket, __ATOMIC_ACQUIRE);
        if (!join(&index)) continue;
        if (index < job.count) job.task(job.arg, index);
        leave();
    }
}

/* A browser's main thread must not sleep. */
static void wait_for_others(void) {
    int state;
    while (((state = __atomic_load_n(&job.state, __ATOMIC_ACQUIRE)) & ACTIVE) != 0)
        if (job.can_wait) wait_for_change(&job.state, state);
}

static void parallel_for(void *user, int count, vit_task task, void *arg) {
    (void)user;
    job.task = task, job.arg = arg, job.count = count;
    __atomic_store_n(&job.state, OPEN, __ATOMIC_RELEASE);
    __atomic_add_fetch(&job.ticket, 1, __ATOMIC_ACQ_REL);
    __builtin_wasm_memory_atomic_notify(&job.ticket, (unsigned)(count - 1));
    task(arg, 0);
    __atomic_and_fetch(&job.state, ~OPEN, __ATOMIC_ACQ_REL);
    wait_for_others();
}

/* The end of a new stack, for a worker; NULL: no memory. */
void *WEB_EXPORT(web_stack)(void) {
    char *stack = aligned_alloc(16, STACK_SIZE);
    return stack != NULL ? stack + STACK_SIZE : NULL;
}

/* Passes share their work among so many threads, the caller's among them. */
void WEB_EXPORT(web_threads)(int threads, int can_wait) {
    web_session.options.threads = threads;
    web_session.options.parallel_for = parallel_for;
    job.can_wait = can_wait;
}

#endif
