/* Instructions since some moment, as far as some millions, where the emulator counts them. */
#ifndef COUNT_H
#define COUNT_H

#include <stdint.h>

#ifdef __riscv
static inline uint32_t instructions(void) {
    uint32_t count;
    __asm__ volatile(".option push\n\t.option arch, +zicsr\n\tcsrr %0, minstret\n\t.option pop"
                     : "=r"(count));
    return count;
}

static inline uint32_t instructions_since(uint32_t start) {
    return instructions() - start;
}
#else
/* SysTick counts down, a tick for so many instructions as qemu's board and -icount make it: 100,000 times
   two of them are timed. */
#define SYSTICK ((volatile uint32_t *)0xE000E010u)
#define SPIN(count) __asm__ volatile("1: subs %0, #1\n\tbne 1b" : "+l"(count) : : "cc")

static inline uint32_t ticks_of_200000(void) {
    uint32_t start, count = 100000;
    SYSTICK[1] = 0xFFFFFF;
    SYSTICK[2] = 0;
    SYSTICK[0] = 5;
    start = SYSTICK[2];
    SPIN(count);
    return (start - SYSTICK[2]) & 0xFFFFFF;
}

static inline uint32_t instructions(void) {
    return SYSTICK[2];
}

static inline uint32_t instructions_since(uint32_t start) {
    static uint32_t ticks;
    uint64_t passed = (start - instructions()) & 0xFFFFFF;
    if (ticks == 0) ticks = ticks_of_200000();
    return (uint32_t)(passed * 200000 / ticks);
}
#endif

#endif
