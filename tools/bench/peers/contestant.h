/* A contestant classifies pictures with a ViT: contestant.c is the program, and each contestant is
   one file with these functions. */
#ifndef CONTESTANT_H
#define CONTESTANT_H

#include <stddef.h>

typedef struct contest {
    const char *model; /* path */
    int channels, side, classes;
    int threads, batch;
    float *pixels; /* [batch][channels][side][side] */
    float *logits; /* [batch][classes] */
} contest;

/* Floats of a picture. */
size_t picture_size(const contest *c);

/* Everything up to the first pass. Never called twice. */
void contestant_open(const contest *c);

/* A pass: pixels become logits. */
void contestant_run(const contest *c);

/* GFLOP/s that the processor reaches at most, on the threads of the contest; 0: not known. */
double contestant_peak(const contest *c);

/* Print the message and exit. */
void fail(const char *message);

#endif
