/* Instructions since some moment, as far as 16 million, where the emulator counts them. */
#ifndef COUNT_H
#define COUNT_H

#include <stdint.h>

#ifdef __riscv
static inline uint32_t instructions(void) {
    uint32_t count;
    __asm__ volatile("csrr %0, minstret" : "=r"(count));
    return count;
}

static inline uint32_t instructions_since(uint32_t start) {
    return instructions() - start;
}
#else
/* SysTick counts down, 25 million a second; qemu's -icount shift=6 makes an instruction 64 ns. */
#define SYSTICK ((volatile uint32_t *)0xE000E010u)

static inline uint32_t instructions(void) {
    if (SYSTICK[0] == 0) {
        SYSTICK[1] = 0xFFFFFF;
        SYSTICK[2] = 0;
        SYSTICK[0] = 5;
    }
    return SYSTICK[2];
}

static inline uint32_t instructions_since(uint32_t start) {
    return ((start - instructions()) & 0xFFFFFF) / 8 * 5;
}
#endif

#endif
