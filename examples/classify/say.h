/* One line on standard error. */
#ifndef SAY_H
#define SAY_H

#include <stddef.h>

/* "vit-classify: " and what is said. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, and the end of the program with EXIT_BAD_INPUT. */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Memory for count things of a size, zeros; ends the program if there is none. */
void *allocate(size_t count, size_t size);

#endif
