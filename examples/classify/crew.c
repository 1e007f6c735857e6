#include "crew.h"

#include "say.h"

#include <stdlib.h>

enum { WAITING_PER_WORKER = 4 };

/* A thread's part. */
typedef struct member {
    crew *crew;
    void *worker;
    pthread_t thread;
} member;

/* Waits until there is room for the outcome of input number `taken`. Returns 0 if it is not wanted. */
static int wait_for_room(crew *c) {
    pthread_mutex_lock(&c->putting);
    while (!c->stopped && c->taken - c->done >= c->window)
        pthread_cond_wait(&c->progress, &c->putting);
    int wanted = !c->stopped;
    pthread_mutex_unlock(&c->putting);
    return wanted;
}

/* Takes the next input and its number; 0 after the last. */
static int take(crew *c, input *in, size_t *number) {
    pthread_mutex_lock(&c->taking);
    int taken = wait_for_room(c) && inputs_next(c->inputs, in);
    if (taken) *number = c->taken++;
    pthread_mutex_unlock(&c->taking);
    return taken;
}

/* Passes on those outcomes that no other has to precede. */
static void put(crew *c, size_t number, const outcome *out) {
    pthread_mutex_lock(&c->putting);
    c->outcomes[number % c->window] = *out;
    c->ready[number % c->window] = 1;
    for (size_t at; c->ready[at = c->done % c->window]; c->done++) {
        outcome *next = &c->outcomes[at];
        if (!c->stopped) c->stopped = !c->put(c->user, next);
        free(next->in.path);
        free(next->text);
        free(next->row);
        c->ready[at] = 0;
    }
    pthread_cond_broadcast(&c->progress);
    pthread_mutex_unlock(&c->putting);
}

static void *work(void *arg) {
    member *m = (member *)arg;
    outcome out = {{NULL, 0, NULL}, NULL, 0, NULL, NULL};
    for (size_t number; take(m->crew, &out.in, &number);) {
        out.text = NULL, out.row = NULL, out.error = NULL;
        m->crew->work(m->worker, &out.in, &out);
        put(m->crew, number, &out);
    }
    return NULL;
}

/* With fewer workers where the system has no more threads. */
static void run_members(crew *c, member *members, void *const *workers, int count) {
    int started = 1;
    for (int i = 0; i < count; i++) {
        members[i].crew = c;
        members[i].worker = workers[i];
    }
    while (started < count &&
           pthread_create(&members[started].thread, NULL, work, &members[started]) == 0)
        started++;
    work(&members[0]);
    for (int i = 1; i < started; i++) pthread_join(members[i].thread, NULL);
}

void crew_run(crew *c, void *const *workers, int count) {
    member *members = (member *)allocate((size_t)count, sizeof(member));
    c->window = (size_t)count * WAITING_PER_WORKER;
    c->outcomes = (outcome *)allocate(c->window, sizeof(outcome));
    c->ready = (char *)allocate(c->window, 1);
    c->taken = c->done = 0;
    c->stopped = 0;
    pthread_mutex_init(&c->taking, NULL);
    pthread_mutex_init(&c->putting, NULL);
    pthread_cond_init(&c->progress, NULL);
    run_members(c, members, workers, count);
    pthread_cond_destroy(&c->progress);
    pthread_mutex_destroy(&c->putting);
    pthread_mutex_destroy(&c->taking);
    free(c->outcomes);
    free(c->ready);
    free(members);
}
