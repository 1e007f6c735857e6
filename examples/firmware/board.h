/* What the application needs of a board. */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

int app_main(void); /* called by the start-up code; its result is what board_exit gets */

void board_write(const char *text);
void board_exit(int status);

/* Instructions since the start; differences of it count. 0 where nothing counts them. */
uint64_t board_instructions(void);

/* The start-up code paints the stack, so that board_stack sees how far it has been used. */
void board_paint_stack(void);

/* Bytes. flash: code, constants and the model, without the test pictures. ram: all that is static.
   stack: the most so far. */
size_t board_flash(void);
size_t board_ram(void);
size_t board_stack(void);

#endif
