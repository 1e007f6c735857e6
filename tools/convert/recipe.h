/* How a picture becomes the model's input, as the config files say it or as is usual. */
#ifndef RECIPE_H
#define RECIPE_H

#include "settings.h"

/* Fill in what is unknown from timm's pretrained_cfg, or from config.json, where older files have it. */
void recipe_read_timm(settings *s, const model *m, json config);

/* Fill in what is unknown from preprocessor_config.json. One that cannot be expressed is left out with a
   note if all of the recipe is known, and otherwise an error. */
void recipe_read_processor(settings *s, const model *m, json processor);

/* Complete the recipe of the model, whose img_size is known: what is assumed is noted. */
void recipe_apply(settings *s, model *m);

#endif
