#include "progress.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { BAR_LENGTH = 20, LINE_SIZE = 160, USUAL_WIDTH = 80 };
static const double patience = 0.5, interval = 0.1; /* seconds before the first, and between two */

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int progress_is_wanted(void) {
    return isatty(STDERR_FILENO);
}

void progress_begin(progress *p, size_t total) {
    const progress new = {progress_is_wanted(), total, 0, 0, seconds(), 0, 0};
    *p = new;
}

static int terminal_width(void) {
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                           : USUAL_WIDTH;
}

/* 0:07, 12:34 or 1:02:03 */
static int put_time(char *text, size_t size, double time) {
    long left = (long)(time + 0.5), hours = left / 3600, minutes = left / 60 % 60;
    if (hours > 0) return snprintf(text, size, "%ld:%02ld:%02ld", hours, minutes, left % 60);
    return snprintf(text, size, "%ld:%02ld", minutes, left % 60);
}

/* "[#####     ] 12 of 50, 60.1 a second, 0:01 left, 2 errors", or what is known of it. */
static void draw(const progress *p, double now) {
    char line[LINE_SIZE], *end = line, *const last = line + LINE_SIZE;
    double rate = (double)p->done / (now - p->begin);
    size_t total = p->total > p->done ? p->total : p->done;
    int bar = (int)(p->done * BAR_LENGTH / total);
    if (p->total > 0)
        end += snprintf(end, LINE_SIZE, "[%.*s%*s] %zu of %zu", bar, "####################",
                        BAR_LENGTH - bar, "", p->done, total);
    else end += snprintf(end, LINE_SIZE, "%zu done", p->done);
    end += snprintf(end, (size_t)(last - end), ", %.1f a second, ", rate);
    end += put_time(end, (size_t)(last - end),
                    p->total > 0 ? (double)(total - p->done) / rate : now - p->begin);
    end += snprintf(end, (size_t)(last - end), p->total > 0 ? " left" : "");
    if (p->errors > 0)
        snprintf(end, (size_t)(last - end), ", %zu error%s", p->errors, p->errors > 1 ? "s" : "");
    fprintf(stderr, "\r\033[K%.*s", terminal_width() - 1, line);
}

void progress_step(progress *p, int is_error) {
    double now = seconds();
    p->done++;
    p->errors += is_error != 0;
    if (!p->is_wanted || now < p->begin + patience || now < p->drawn + interval) return;
    draw(p, now);
    p->drawn = now;
    p->is_visible = 1;
}

void progress_hide(progress *p) {
    if (p->is_visible) fputs("\r\033[K", stderr);
    p->is_visible = 0;
    p->drawn = 0;
}
