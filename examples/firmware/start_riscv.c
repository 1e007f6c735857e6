/* Start-up of RISC-V in machine mode, and semihosting as for ARM: "RISC-V Semihosting". */
#include "board.h"

extern uint32_t bss_start[], bss_end[]; /* defined by the linker script */

void start(void);
long semihosting(long operation, const void *argument);

__asm__(".section .start, \"ax\"\n"
        ".global _start\n"
        "_start:\n"
        ".option push\n"
        ".option norelax\n"
        "la gp, global_pointer\n"
        ".option pop\n"
        "la sp, stack_end\n"
        "la t0, fault\n"
        "csrw mtvec, t0\n"
        "j start\n"
        ".text\n"
        ".balign 16\n"
        ".global semihosting\n"
        "semihosting:\n"
        ".option push\n"
        ".option norvc\n" /* the three have to be these 32-bit instructions */
        "slli zero, zero, 0x1f\n"
        "ebreak\n"
        "srai zero, zero, 7\n"
        ".option pop\n"
        "ret\n");

void board_write(const char *text) {
    semihosting(0x04, text); /* SYS_WRITE0 */
}

void board_exit(int status) {
    const long arguments[2] = {0x20026, status}; /* ADP_Stopped_ApplicationExit */
    semihosting(0x20, arguments);                /* SYS_EXIT_EXTENDED */
    for (;;) {
    }
}

uint64_t board_instructions(void) {
    uint32_t low, high, again;
    do {
        __asm__ volatile("csrr %0, minstreth" : "=r"(high));
        __asm__ volatile("csrr %0, minstret" : "=r"(low));
        __asm__ volatile("csrr %0, minstreth" : "=r"(again));
    } while (high != again);
    return (uint64_t)high << 32 | low;
}

__attribute__((used, aligned(4))) static void fault(void) {
    board_write("fault\n");
    board_exit(99);
}

void start(void) {
    for (volatile uint32_t *to = bss_start; to < bss_end;) *to++ = 0; /* a loop, not a call */
    board_paint_stack();
    board_exit(app_main());
}
