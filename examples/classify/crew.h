/* Several workers that look at inputs at the same time, and their results in order. */
#ifndef CREW_H
#define CREW_H

#include "inputs.h"

#include <pthread.h>
#include <stdio.h>

/* What became of an input. */
typedef struct outcome {
    input in;
    char *text; /* to print; NULL: nothing */
    size_t text_size;
    const char *error; /* NULL: it went well */
    float *row;        /* an embedding; NULL: none */
} outcome;

typedef struct crew {
    inputs *inputs;
    /* A worker's own thing to work with; it is called by all at the same time. */
    void (*work)(void *worker, const input *in, outcome *out);
    /* Called with one outcome after the other, in the inputs' order, by one thread at a time; 0: no more
       inputs are to be taken. */
    int (*put)(void *user, const outcome *out);
    void *user;

    pthread_mutex_t taking;  /* guards inputs and taken */
    pthread_mutex_t putting; /* guards what follows */
    pthread_cond_t progress; /* done has grown */
    size_t taken, done;
    int stopped;
    size_t window;     /* how many outcomes may wait for one before them */
    outcome *outcomes; /* [window], that of input i at i % window */
    char *ready;       /* [window] */
} crew;

/* Runs `count` workers, the caller's thread among them, until the inputs are at their end. workers:
   [count]. */
void crew_run(crew *c, void *const *workers, int count);

#endif
