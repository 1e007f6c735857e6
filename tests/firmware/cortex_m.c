/* What starts a test on an emulated Cortex-M: floats switched on, newlib's semihosting opened, main. */
#include <stdint.h>
#include <stdlib.h>

extern char stack_top;
int main(void);
void initialise_monitor_handles(void);
void reset(void);

static void fault(void) {
    abort();
}

/* noinline: nothing of main that needs floats comes before */
void reset(void) {
    volatile uint32_t *coprocessors = (volatile uint32_t *)0xE000ED88u; /* CPACR */
    *coprocessors |= 0xFu << 20;
    __asm__ volatile("dsb\n isb" ::: "memory");
    initialise_monitor_handles();
    exit(main());
}

__attribute__((section(".vectors"), used)) static void *const vectors[] = {
    &stack_top, (void *)reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault, (void *)fault,
};
