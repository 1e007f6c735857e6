/* A bar on standard error, where that is a terminal: how much is done, how fast, how long it will take. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stddef.h>

typedef struct progress {
    int is_wanted;
    size_t total; /* 0: not known */
    size_t done, errors;
    double begin, drawn; /* in seconds */
    int is_visible;
} progress;

/* Whether there will be a bar, so that it is worth counting what there is to do. */
int progress_is_wanted(void);

void progress_begin(progress *p, size_t total);

/* One more is done. */
void progress_step(progress *p, int is_error);

/* Makes room for other text on the terminal, until the next step. */
void progress_hide(progress *p);

#endif
