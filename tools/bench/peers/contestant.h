/* A contestant classifies random pictures with ViTs of 224 x 224 and 1000 classes: contestant.c is
   the program, and each contestant is one file with these two functions. */
#ifndef CONTESTANT_H
#define CONTESTANT_H

enum { PIXELS = 3 * 224 * 224, CLASSES = 1000 };

typedef struct contest {
    const char *model; /* path */
    int threads, batch;
    float *pixels; /* [batch][PIXELS] */
    float *logits; /* [batch][CLASSES] */
} contest;

/* Everything up to the first pass. Never called twice. */
void contestant_open(const contest *c);

/* A pass: pixels become logits. */
void contestant_run(const contest *c);

/* GFLOP/s that the processor reaches at most, on the threads of the contest; 0: not known. */
double contestant_peak(const contest *c);

/* Print the message and exit. */
void fail(const char *message);

#endif
