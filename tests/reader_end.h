/* report.c for tests and fuzzers of vit-convert's readers: fail() does not end the program, but jumps
   to reader_end, and what is said last is kept. Include it in one file of a program,
   which does without report.c. */
#ifndef READER_END_H
#define READER_END_H

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

static jmp_buf reader_end;
static char reader_said[1200]; /* the last line, with "vit-convert: " and its end */

#define exit(status) longjmp(reader_end, 1)
#define fprintf(stream, ...) snprintf(reader_said, sizeof(reader_said), __VA_ARGS__)
#include "tools/convert/report.c"
#undef exit
#undef fprintf

#endif
