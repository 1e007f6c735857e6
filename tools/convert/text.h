/* Texts. */
#ifndef TEXT_H
#define TEXT_H

#include <string.h>

static inline int text_ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

#endif
