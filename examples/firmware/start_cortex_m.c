/* Start-up of a Cortex-M, and semihosting: text and the exit status go to the debugger, or to qemu. The
   calls are in ARM's "Semihosting for AArch32 and AArch64", the registers in the ARMv7-M and ARMv8-M
   reference manuals. */
#include "board.h"

/* Defined by the linker script. */
extern uint32_t data_load[], data_start[], data_end[], bss_start[], bss_end[];
extern void initial_stack(void); /* the end of the stack, typed for the vector table */

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define SYSTICK_CONTROL REGISTER(0xE000E010)
#define SYSTICK_RELOAD REGISTER(0xE000E014)
#define SYSTICK_VALUE REGISTER(0xE000E018)
#define CONFIGURATION REGISTER(0xE000ED14)
#define COPROCESSORS REGISTER(0xE000ED88)
#define SYSTICK_TOP 0xFFFFFFu

static int semihosting(int operation, const void *argument) {
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void board_write(const char *text) {
    semihosting(0x04, text); /* SYS_WRITE0 */
}

void board_exit(int status) {
    const uint32_t arguments[2] = {0x20026, (uint32_t)status}; /* ADP_Stopped_ApplicationExit */
    semihosting(0x20, arguments);                              /* SYS_EXIT_EXTENDED */
    for (;;) {
    }
}

/* ---- SysTick counts time, and a loop of known length shows how much of it an instruction takes: under
   qemu's -icount that is constant ---- */

static volatile uint32_t wraps;
static uint32_t loop_ticks; /* of LOOP instructions */

#define LOOP 200000u

static void count_wrap(void) {
    wraps++;
}

static uint64_t ticks(void) {
    uint32_t before, value;
    do {
        before = wraps;
        value = SYSTICK_VALUE;
    } while (before != wraps);
    return (uint64_t)before * (SYSTICK_TOP + 1) + (SYSTICK_TOP - value);
}

static void start_counting(void) {
    uint32_t turns = LOOP / 2;
    SYSTICK_RELOAD = SYSTICK_TOP;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = 7; /* the processor's clock, with interrupt */
    uint64_t start = ticks();
    __asm__ volatile("1: subs %0, #1\n bne 1b" : "+l"(turns) : : "cc");
    loop_ticks = (uint32_t)(ticks() - start);
}

uint64_t board_instructions(void) {
    return ticks() * LOOP / loop_ticks;
}

/* ---- start ---- */

static void fault(void) {
    board_write("fault\n");
    board_exit(99);
}

/* Floating point and vectors are off until this is done. */
static void enable_floats(void) {
#ifdef __ARM_FP
    COPROCESSORS |= 0xFu << 20;
#ifdef __ARM_FEATURE_MVE
    CONFIGURATION |= 1u << 19; /* low-overhead loops */
#endif
    __asm__ volatile("dsb\n isb" : : : "memory");
#endif
}

/* Stores that are volatile stay loops of words: neither a call, nor vectors before they are on. */
void start(void) {
    const volatile uint32_t *from = data_load;
    volatile uint32_t *to;
    for (to = data_start; to < data_end;) *to++ = *from++;
    for (to = bss_start; to < bss_end;) *to++ = 0;
    board_paint_stack();
    enable_floats();
    start_counting();
    board_exit(app_main());
}

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    initial_stack, start, fault, fault, fault, fault, fault, NULL,
    NULL,          NULL,  NULL,  fault, NULL,  NULL,  fault, count_wrap};
