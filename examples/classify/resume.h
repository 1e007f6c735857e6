/* A file of JSON lines that a run goes on with. */
#ifndef RESUME_H
#define RESUME_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct resume {
    FILE *file;       /* new lines are appended to it */
    uint64_t *hashes; /* [room], of the files that have a line; 0: free */
    size_t room, count;
    size_t errors; /* lines that tell of one */
} resume;

/* Opens the file, or makes it. A half line at its end, as a run leaves that was killed, is cut off. Ends
   the program with one line if there is anything else in it than lines of vit-classify with this model,
   or another run writes to it. */
resume resume_open(const char *path, const char *model_name);

/* Whether a file has a line. Never where its name is not UTF-8, which JSON lines do not keep. */
int resume_has(const resume *r, const char *path);

void resume_close(resume *r);

#endif
