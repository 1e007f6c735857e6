/* The head that is made of features, and what the model is with it. */
#ifndef HEAD_H
#define HEAD_H

#include "validate.h"
#include "vit.h"

/* The head of all pictures, as chosen, its logits times factor; to be freed with linear_free. */
linear head_fit(const lessons *l, const choice *c, double factor);

/* The backbone's config with a head of so many classes that reads this. threshold: reject_below. */
vit_config head_config(const vit_model *backbone, const reading *r, int classes, double threshold);

/* The recipe of the whole picture, squeezed to the model's own size. */
vit_preprocess_config head_whole_recipe(const vit_config *config);

#endif
