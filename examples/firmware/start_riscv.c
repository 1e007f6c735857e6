/* Start-up of RISC-V in machine mode, and semihosting as for ARM: "RISC-V Semihosting". */
#include "board.h"

extern uint32_t bss_start[], bss_end[], stack_start[], stack_end[];
extern const char flash_size[], ram_size[]; /* the address is the number */

#define PAINT 0xC0DEC0DEu

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
        ".option norvc\n" /* the three have to be as they are */
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

/* It all lies in RAM here, as qemu's virt has nothing else that is handy. */
size_t board_flash(void) {
    return (size_t)flash_size;
}

size_t board_ram(void) {
    return (size_t)ram_size;
}

size_t board_stack(void) {
    const uint32_t *p = stack_start;
    while (p < stack_end && *p == PAINT) p++;
    return (size_t)((const char *)stack_end - (const char *)p);
}

__attribute__((used, aligned(4))) static void fault(void) {
    board_write("fault\n");
    board_exit(99);
}

void start(void) {
    uint32_t *to, *sp;
    for (to = bss_start; to < bss_end;) *to++ = 0;
    __asm__ volatile("mv %0, sp" : "=r"(sp));
    for (to = stack_start; to < sp - 16;) *to++ = PAINT;
    board_exit(app_main());
}
