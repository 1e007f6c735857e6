/* What there is to look at, one after the other: a tensor, files, folders with all that is in them,
   lists of names. However many there are, they take the same memory. */
#ifndef INPUTS_H
#define INPUTS_H

#include <signal.h>
#include <stddef.h>

typedef struct input {
    char *path;        /* for free() */
    int is_tensor;     /* 1: the model's input, not a picture */
    const char *error; /* NULL, or why it is not there: a folder or a list that cannot be read */
} input;

typedef struct inputs {
    const char *tensor; /* NULL: none */
    char *const *names; /* [count]: a file, a folder, or @ and a list of them; @- standard input */
    int count;
    char separator;                                     /* after each name of a list */
    int (*is_done)(const void *user, const char *path); /* NULL, or which to pass over */
    const void *user;
    const volatile sig_atomic_t *stop; /* not 0: no more names are waited for */
    size_t left_out;                   /* files in folders whose names are not those of pictures */
    struct list *list;                 /* that is being read; NULL: none */
    struct folder *folder; /* that is being read, with those that it is in; NULL: none */
} inputs;

/* The next one, which is the caller's; 0 after the last. Folders are in the order of their names'
   bytes; hidden files are left out. */
int inputs_next(inputs *all, input *in);

/* How many are left, for which a copy of `all` is read through; 0 where that is not known before, as
   with a pipe. */
size_t inputs_count(const inputs *all);

void inputs_close(inputs *all);

#endif
