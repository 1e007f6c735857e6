#include "head.h"

#include "tools/convert/report.h"

#include <stdlib.h>
#include <string.h>

linear head_fit(const lessons *l, const choice *c, double factor) {
    samples s = lessons_samples(l, &c->reading);
    scaling scale = scaling_of(&s);
    double *parameters = allocate((s.dim + 1) * (size_t)s.class_count, sizeof(double));
    fit(&s, &scale, c->l2, 1e-6, parameters);
    linear head = fit_unscale(parameters, &scale, s.dim, s.class_count);
    for (size_t i = 0; i < s.dim * (size_t)s.class_count; i++) head.weights[i] *= factor;
    for (int i = 0; i < s.class_count; i++) head.bias[i] *= factor;
    free(parameters);
    scaling_free(&scale);
    samples_free(&s);
    return head;
}

vit_preprocess_config head_whole_recipe(const vit_config *config) {
    vit_preprocess_config recipe = config->preprocess;
    recipe.resize = VIT_RESIZE_EXACT;
    memcpy(recipe.resize_size, config->img_size, sizeof(recipe.resize_size));
    if (recipe.crop_pct > 0) recipe.crop_pct = 1;
    return recipe;
}

vit_config head_config(const vit_model *backbone, const reading *r, int classes, double threshold) {
    vit_config config = *vit_model_config(backbone);
    config.num_classes = classes;
    config.head_tokens = r->tokens;
    config.head_avg = r->average;
    config.pre_logits = config.pre_logits_l2 = 0;
    config.output = VIT_OUTPUT_SOFTMAX;
    config.reject_below = (float)(threshold * (1 - 1e-6)); /* not above it by rounding */
    if (r->view & VIEW_WHOLE) config.preprocess = head_whole_recipe(&config);
    return config;
}
