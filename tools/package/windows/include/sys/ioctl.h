/* The width of the console. */
#ifndef SYS_IOCTL_H
#define SYS_IOCTL_H

struct winsize {
    unsigned short ws_row, ws_col;
};
#define TIOCGWINSZ 0x5413
int ioctl(int file, unsigned long request, struct winsize *size);

#endif
