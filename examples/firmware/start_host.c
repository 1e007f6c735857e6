/* The application as a program of the build machine, which the boards are compared with. */
#include "board.h"

#include <stdio.h>

void board_write(const char *text) {
    fputs(text, stdout);
}

void board_exit(int status) {
    (void)status;
}

uint64_t board_instructions(void) {
    return 0;
}

size_t board_flash(void) {
    return 0;
}

size_t board_ram(void) {
    return 0;
}

size_t board_stack(void) {
    return 0;
}

int main(void) {
    return app_main();
}
