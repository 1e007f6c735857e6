/* A file that is written beside its place and takes it when it is complete: whatever ends the program
   before, an error or a signal, leaves what was there and nothing else. */
#ifndef NEW_FILE_H
#define NEW_FILE_H

#include <stdio.h>

typedef struct new_file {
    char *path; /* its place; where a link was given, what it leads to */
    char *temporary;
    FILE *file;
} new_file;

/* Opens it for writing and reading. What is there already has to be a regular file, whose mode the new one
   gets. An error ends the program, here and below. */
new_file new_file_open(const char *path);

void new_file_write(new_file *o, const void *data, size_t size);

/* All of it is on the disk after that, under its temporary name. */
void new_file_finish(new_file *o);

/* Puts the finished file in its place. */
void new_file_commit(new_file *o);

#endif
