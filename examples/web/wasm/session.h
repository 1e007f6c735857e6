/* One model in one WebAssembly instance, as module/vit.mjs uses it. Functions that are exported begin
   with web_. */
#ifndef SESSION_H
#define SESSION_H

#include "tools/teach/cache.h"
#include "vit.h"

#define WEB_EXPORT(name) __attribute__((export_name(#name))) name

typedef struct buffer {
    void *data;
    size_t size;
} buffer;

typedef struct session {
    vit_model model;
    vit_options options;
    vit_image image;
    buffer file, bytes, pixels, output, scores, heat, workspace;
} session;

extern session web_session;

/* Room for size bytes, at a multiple of 64; what was in it may be lost. Returns whether there is. */
int buffer_reserve(buffer *b, size_t size);

/* Pixels of the image, in the model's own size, for one of the views of cache.h. */
vit_status session_preprocess(const vit_model *model, int view);

/* A pass over the pixels, whose result goes to the session's output. */
vit_status session_forward(const vit_model *model, const vit_options *options);

#endif
