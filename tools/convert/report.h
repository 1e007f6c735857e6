/* What every part of the converter prints on stderr, and how it ends on an error. */
#ifndef REPORT_H
#define REPORT_H

#include <stddef.h>

#if defined(__GNUC__)
#define REPORT_PRINTF __attribute__((format(printf, 1, 2)))
#define REPORT_NORETURN __attribute__((noreturn))
#else
#define REPORT_PRINTF
#define REPORT_NORETURN
#endif

/* What each line begins with: "vit-convert", unless another program that uses the writer sets it. */
extern const char *report_program;

/* One line. Control characters, which names in a file may contain, are shown as '?'. */
REPORT_PRINTF void note(const char *format, ...);

/* One line, then exit(1). model_writer.c removes its unfinished file at exit. */
REPORT_PRINTF REPORT_NORETURN void fail(const char *format, ...);

/* count * size bytes of zeros. Ends the program if there is no memory. */
void *allocate(size_t count, size_t size);

/* The array, of count elements, with room for one more: in the same place, or moved. */
void *make_room_for_one(void *array, size_t count, size_t *capacity, size_t size);

/* Text as by printf, to be freed. */
REPORT_PRINTF char *format_text(const char *format, ...);

#endif
