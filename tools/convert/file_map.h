/* A whole file, mapped for reading. */
#ifndef FILE_MAP_H
#define FILE_MAP_H

#include <stddef.h>

typedef struct file_map {
    const char *path; /* as given; the caller keeps it */
    const unsigned char *data;
    size_t size;
} file_map;

/* Ends the program with the file's name if it cannot be read. An empty file has data NULL. */
file_map file_map_open(const char *path);

/* Lets the system have the memory of what was read, which is read from the file again when it is needed.
   Without it, all of a file that is read stays until the system is short of memory. */
void file_map_release(const file_map *map);

void file_map_close(file_map *map);

#endif
