/* What an image uses, by the linker script and the pattern on its stack. The same for every board. */
#include "board.h"

extern uint32_t stack_start[], stack_end[];
extern const char flash_size[], ram_size[]; /* the address is the number */

#define PAINT 0xC0DEC0DEu

size_t board_flash(void) {
    return (size_t)flash_size;
}

size_t board_ram(void) {
    return (size_t)ram_size;
}

void board_paint_stack(void) {
    const uint32_t *end =
        (const uint32_t *)__builtin_frame_address(0) - 16; /* this function uses what is below */
    /* volatile: not by vectors, which may not be on yet */
    for (volatile uint32_t *p = stack_start; p < end;) *p++ = PAINT;
}

size_t board_stack(void) {
    const uint32_t *p = stack_start;
    while (p < stack_end && *p == PAINT) p++;
    return (size_t)((const char *)stack_end - (const char *)p);
}
