/* Embeddings in a file: NumPy's .npy, float32 [rows][columns], and beside it a .txt with a line for each
   row, its picture's name. */
#ifndef EMBEDDINGS_H
#define EMBEDDINGS_H

#include <stddef.h>
#include <stdio.h>

/* Files under other names until they are complete. */
typedef struct embeddings_writer {
    const char *path;            /* X.npy */
    char *array_path, *txt_path; /* of those being written */
    FILE *array, *txt;
    size_t rows, columns;
} embeddings_writer;

/* These end the program with one line if the files cannot be written. */
void embeddings_begin(embeddings_writer *w, const char *path, size_t columns);
void embeddings_add(embeddings_writer *w, const char *name, const float *row);
void embeddings_end(embeddings_writer *w);

/* Why a name cannot be a line of the .txt; NULL: it can. */
const char *embeddings_refuse(const char *name);

/* Embeddings to look for similar ones in. */
typedef struct gallery {
    float *rows;  /* [count][columns], each of length 1, or 0 */
    char **names; /* [count] */
    size_t count, capacity, columns;
} gallery;

/* What embeddings_end has written. Ends the program with one line if it is anything else, or not of so
   many columns. */
gallery gallery_read(const char *path, size_t columns);

void gallery_add(gallery *g, const char *name, const float *row);

/* The k most similar to an embedding, by the cosine of the angle between both, the best first; returns how
   many there are. cosines: [count], of all. */
int gallery_find(const gallery *g, const float *row, int k, float *cosines, int *indices);

void gallery_free(gallery *g);

#endif
