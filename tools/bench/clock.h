/* Seconds since a fixed moment. */
#ifndef CLOCK_H
#define CLOCK_H

#include <time.h>

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

#endif
