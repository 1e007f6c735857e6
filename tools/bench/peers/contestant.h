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

/* Everything before the first pass. Called once. */
void contestant_open(const contest *c);

/* A pass: pixels become logits. */
void contestant_run(const contest *c);

/* The processor's peak in GFLOP/s on the threads of the contest; 0: not known. */
double contestant_peak(const contest *c);

/* Print the message and exit. */
void fail(const char *message);

#endif
