/* For posix.h's sake: what is read from a file or a pipe is waited for by the reading itself. */
#ifndef POLL_H
#define POLL_H

struct pollfd {
    int fd;
    short events, revents;
};
#define POLLIN 1

static inline int poll(struct pollfd *files, unsigned long count, int milliseconds) {
    (void)milliseconds;
    for (unsigned long i = 0; i < count; i++) files[i].revents = files[i].events;
    return (int)count;
}

#endif
