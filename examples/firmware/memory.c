/* The four functions of a C library that a compiler and vit.h call, for a build without one. They copy
   words where both ends are aligned. Right under any flags: see HIDE. */
#include <stddef.h>
#include <stdint.h>

typedef uint32_t __attribute__((may_alias)) word;

/* Hides where a pointer comes from. Without it compilers see that a loop sets or copies memory and make
   it a call of memset or memcpy, which is the function that the loop is in; or they use vectors, which
   at the start of a program may not be on yet. */
#define HIDE(pointer) __asm__("" : "+r"(pointer))

static int are_aligned(const void *a, const void *b) {
    return (((uintptr_t)a | (uintptr_t)b) & 3) == 0;
}

static void *copy_upwards(void *to, const void *from, size_t size) {
    unsigned char *d = (unsigned char *)to;
    const unsigned char *s = (const unsigned char *)from;
    if (are_aligned(to, from)) {
        word *words = (word *)to;
        const word *from_words = (const word *)from;
        size_t count = size / 4;
        d += 4 * count, s += 4 * count, size -= 4 * count;
        for (; count >= 4; count -= 4, words += 4, from_words += 4) {
            HIDE(words);
            words[0] = from_words[0];
            words[1] = from_words[1];
            words[2] = from_words[2];
            words[3] = from_words[3];
        }
        for (; count > 0; count--) {
            HIDE(words);
            *words++ = *from_words++;
        }
    }
    for (; size > 0; size--) {
        HIDE(d);
        *d++ = *s++;
    }
    return to;
}

void *memcpy(void *to, const void *from, size_t size) {
    return copy_upwards(to, from, size);
}

void *memmove(void *to, const void *from, size_t size) {
    unsigned char *d = (unsigned char *)to + size;
    const unsigned char *s = (const unsigned char *)from + size;
    if ((uintptr_t)to - (uintptr_t)from >= size) return copy_upwards(to, from, size);
    for (; size > 0; size--) {
        HIDE(d);
        *--d = *--s;
    }
    return to;
}

void *memset(void *to, int byte, size_t size) {
    unsigned char *d = (unsigned char *)to;
    const uint32_t four = (uint32_t)(unsigned char)byte * 0x01010101u;
    if (are_aligned(to, to)) {
        word *words = (word *)to;
        d += size / 4 * 4;
        for (; size >= 4; size -= 4) {
            HIDE(words);
            *words++ = four;
        }
    }
    for (; size > 0; size--) {
        HIDE(d);
        *d++ = (unsigned char)byte;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t size) {
    const unsigned char *x = (const unsigned char *)a, *y = (const unsigned char *)b;
    for (; size > 0; size--, x++, y++) {
        HIDE(x);
        if (*x != *y) return *x < *y ? -1 : 1;
    }
    return 0;
}
