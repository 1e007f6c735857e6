/* What the application needs from a board. */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

int app_main(void); /* called by the start-up code; its result is what board_exit gets */

void board_write(const char *text);
void board_exit(int status);

/* Instructions since some moment; 0 if nothing counts them. */
uint64_t board_instructions(void);

/* Called by the start-up code: fills the stack with a pattern, so that board_stack can tell how much
   was used. */
void board_paint_stack(void);

/* Bytes. flash: code, constants and the model, without the test pictures. ram: all static memory.
   stack: the most used so far. */
size_t board_flash(void);
size_t board_ram(void);
size_t board_stack(void);

#endif
