/* How far apart two processors are: the time that a cache line takes from one to the other and back. It
   is some 50 ns where they share a cache and several times that where they do not, and it changes when
   the system moves threads, or a virtual machine its processors. */
#ifndef DISTANCE_H
#define DISTANCE_H

#include "clock.h"

#include <pthread.h>

#define RALLIES 20
#define RALLY_RETURNS 500
#define RALLY_SECONDS 0.05 /* at most: both threads may be on one processor */

typedef struct rally {
    int served, ended;
} rally;

static void *return_balls(void *arg) {
    rally *r = (rally *)arg;
    while (!__atomic_load_n(&r->ended, __ATOMIC_ACQUIRE)) {
        if (__atomic_load_n(&r->served, __ATOMIC_ACQUIRE))
            __atomic_store_n(&r->served, 0, __ATOMIC_RELEASE);
    }
    return NULL;
}

/* Mean seconds of a return, 0 if there was no time for all. */
static double play(rally *r, double until) {
    const double begin = seconds();
    for (int i = 0; i < RALLY_RETURNS; i++) {
        __atomic_store_n(&r->served, 1, __ATOMIC_RELEASE);
        while (__atomic_load_n(&r->served, __ATOMIC_ACQUIRE))
            if (seconds() > until) return 0;
    }
    return (seconds() - begin) / RALLY_RETURNS;
}

/* Nanoseconds, of the fastest of some rallies of two threads; 0 if it could not be measured. */
static double processor_distance(void) {
    rally r = {0, 0};
    pthread_t thread;
    double best = 0;
    if (pthread_create(&thread, NULL, return_balls, &r) != 0) return 0;
    for (int i = 0; i < RALLIES; i++) {
        const double time = play(&r, seconds() + RALLY_SECONDS / RALLIES);
        if (time > 0 && (best == 0 || time < best)) best = time;
    }
    __atomic_store_n(&r.ended, 1, __ATOMIC_RELEASE);
    pthread_join(thread, NULL);
    return best * 1e9;
}

#endif
