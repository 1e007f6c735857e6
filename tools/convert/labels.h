/* The names of the classes. */
#ifndef LABELS_H
#define LABELS_H

#include "json.h"

/* count strings, each ended by NUL; *size bytes in all. from: a file with one name a line or with JSON
   (a list, an object by class, or a config.json), imagenet-1k, cifar-10 or cifar-100; or NULL: what
   the config says. NULL where there are none. */
char *labels_read(const char *from, json config, int count, size_t *size);

#endif
