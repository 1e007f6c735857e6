/* What the programs of tools/ say of themselves and print on stderr, and how they end on an error. */
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

/* One line, then exit(1). new_file.c removes unfinished files at exit. */
REPORT_PRINTF REPORT_NORETURN void fail(const char *format, ...);

/* The same for a file that cannot be opened, by errno; a name of Hugging Face's hub is told from a path. */
REPORT_NORETURN void fail_open(const char *path);

/* What was asked for by --help or --version, then exit: 1 if it cannot be written, or else 0. */
REPORT_NORETURN void show(const char *text);
REPORT_NORETURN void show_version(void);

/* The first paragraph of the text that --help shows, then exit(2). */
REPORT_NORETURN void wrong_usage(const char *usage);

/* count * size bytes of zeros. Ends the program if there is no memory. */
void *allocate(size_t count, size_t size);

/* The array, of count elements, with room for one more: in the same place, or moved. */
void *make_room_for_one(void *array, size_t count, size_t *capacity, size_t size);

/* Text as by printf, to be freed. */
REPORT_PRINTF char *format_text(const char *format, ...);

#endif
