/* What starts a test on an emulated Cortex-M: the processor switches floats and vectors on, then come
   newlib's files by semihosting and main. */
#include <stdint.h>
#include <stdlib.h>

int main(void);
void initialise_monitor_handles(void); /* newlib's */
void reset(void);
void fault(void);

void fault(void) {
    abort();
}

void reset(void) {
    volatile uint32_t *coprocessors = (volatile uint32_t *)0xE000ED88u; /* CPACR */
    *coprocessors |= 0xFu << 20;
    __asm__ volatile("dsb\n\tisb" : : : "memory");
    initialise_monitor_handles();
    exit(main());
}
