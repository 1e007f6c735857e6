/* The pictures that classes are learned from: a folder with a folder of them for each class. */
#ifndef PHOTOS_H
#define PHOTOS_H

#include <stddef.h>
#include <stdint.h>

typedef struct photo {
    char *path;
    int class;     /* of photos.labels */
    uint64_t size; /* of the file */
    int64_t mtime; /* in nanoseconds */
} photo;

typedef struct photos {
    char **labels; /* [classes], sorted by their bytes: the folders' names */
    int classes;
    photo *list; /* [count], class by class, each sorted by path */
    size_t count;
} photos;

/* What is in a folder. known: the labels that its folders have to be among, or NULL: any, two or more,
   none of them empty. Ends the program with one line if that is not so. Notes what it leaves out;
   hidden files are left out without a word. */
photos photos_find(const char *folder, const photos *known);

/* Pictures of a class. */
size_t photos_count(const photos *p, int class);

void photos_free(photos *p);

#endif
