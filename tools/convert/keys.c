#include "keys.h"

#include "report.h"

#include <stdlib.h>
#include <string.h>

/* OBEYED and HARMLESS instead of values: what reads the file looks at the key, or nothing has to. */
static const char OBEYED[] = "obeyed", HARMLESS[] = "harmless";

typedef struct key {
    const char *name;
    const char *values; /* those that are computed, as JSON with | between them */
} key;

static const key timm_keys[] = {
    {"architecture", OBEYED},
    {"num_classes", OBEYED},
    {"global_pool", OBEYED},
    {"model_args", OBEYED},
    {"pretrained_cfg", OBEYED},
    {"num_labels", OBEYED},
    {"id2label", OBEYED},
    {"num_features", HARMLESS}, /* the tensors say it */
    {"do_pooling", HARMLESS},   /* of models without a head */
    {"model_type", "\"timm_wrapper\""},
    {NULL, NULL},
};

/* The arguments of timm's VisionTransformer. */
static const key timm_args_keys[] = {
    {"img_size", OBEYED},
    {"patch_size", OBEYED},
    {"in_chans", OBEYED},
    {"num_classes", OBEYED},
    {"embed_dim", OBEYED},
    {"depth", OBEYED},
    {"num_heads", OBEYED},
    {"mlp_ratio", OBEYED},
    {"global_pool", OBEYED},
    {"fc_norm", OBEYED},
    {"pool_include_prefix", OBEYED},
    {"qkv_bias", OBEYED},
    {"act_layer", OBEYED},
    {"norm_eps", OBEYED},
    {"class_token", OBEYED},
    {"reg_tokens", OBEYED},
    /* What the tensors say. */
    {"proj_bias", HARMLESS},
    {"init_values", HARMLESS},
    {"no_embed_class", HARMLESS},
    {"distilled", HARMLESS},
    {"representation_size", HARMLESS},
    /* Of training and loading. */
    {"drop_rate", HARMLESS},
    {"pos_drop_rate", HARMLESS},
    {"patch_drop_rate", HARMLESS},
    {"proj_drop_rate", HARMLESS},
    {"attn_drop_rate", HARMLESS},
    {"drop_path_rate", HARMLESS},
    {"weight_init", HARMLESS},
    {"fix_init", HARMLESS},
    {"pretrained", HARMLESS},
    {"strict_img_size", HARMLESS},
    {"dynamic_img_size", HARMLESS},
    {"qk_norm", OBEYED},
    {"pre_norm", OBEYED},
    {"final_norm", OBEYED},
    /* Other networks. */
    {"pos_embed", "\"learn\""},
    {"scale_attn_norm", "false"},
    {"scale_attn_inner_norm", "false"},
    {"scale_mlp_norm", "false"},
    {"dynamic_img_pad", "false"},
    {"embed_layer", "\"PatchEmbed\""},
    {"norm_layer", "\"layernorm\"|\"LayerNorm\""},
    {"block_fn", "\"Block\""},
    {"attn_layer", "\"\"|\"Attention\""},
    {"mlp_layer", "\"Mlp\""},
    {NULL, NULL},
};

/* timm's pretrained_cfg, which older files have at the top level. */
static const key recipe_keys[] = {
    {"input_size", OBEYED},
    {"interpolation", OBEYED},
    {"crop_pct", OBEYED},
    {"crop_mode", OBEYED},
    {"mean", OBEYED},
    {"std", OBEYED},
    {"global_pool", OBEYED},
    {"label_names", OBEYED},
    {"labels", OBEYED},
    {"label_offset", "0|false"},
    /* Of another size than input_size, which timm takes if told to. */
    {"test_input_size", HARMLESS},
    {"test_crop_pct", HARMLESS},
    {"min_input_size", HARMLESS},
    {"fixed_input_size", HARMLESS},
    {"pool_size", HARMLESS},
    {"test_pool_size", HARMLESS},
    /* Where the weights are from. */
    {"num_classes", HARMLESS}, /* before a fine-tuning; the model's own are at the top level */
    {"num_features", HARMLESS},
    {"first_conv", HARMLESS},
    {"classifier", HARMLESS},
    {"custom_load", HARMLESS},
    {"architecture", HARMLESS},
    {"tag", HARMLESS},
    {"url", HARMLESS},
    {"file", HARMLESS},
    {"state_dict", HARMLESS},
    {"source", HARMLESS},
    {"hf_hub_id", HARMLESS},
    {"hf_hub_filename", HARMLESS},
    {"license", HARMLESS},
    {"description", HARMLESS},
    {"origin_url", HARMLESS},
    {"paper_name", HARMLESS},
    {"paper_ids", HARMLESS},
    {"notes", HARMLESS},
    {"label_descriptions", HARMLESS},
    {NULL, NULL},
};

/* Of every image tower in Hugging Face transformers. */
static const key hugging_face_keys[] = {
    {"hidden_size", OBEYED},       {"num_hidden_layers", OBEYED}, {"num_attention_heads", OBEYED},
    {"intermediate_size", OBEYED}, {"hidden_act", OBEYED},        {"layer_norm_eps", OBEYED},
    {"image_size", OBEYED},        {"patch_size", OBEYED},        {"num_channels", OBEYED},
    {"num_labels", OBEYED},        {"id2label", OBEYED},          {NULL, NULL},
};

static const key vit_keys[] = {
    {"qkv_bias", OBEYED},
    {"model_type", "\"vit\"|\"deit\"|\"vit_msn\"|\"vit_mae\"|\"ijepa\""},
    /* Of pre-training, of the pooler, and of models that only give features. */
    {"encoder_stride", HARMLESS},
    {"use_mask_token", HARMLESS},
    {"pooler_output_size", HARMLESS},
    {"pooler_act", HARMLESS},
    {"out_features", HARMLESS},
    {"out_indices", HARMLESS},
    {"stage_names", HARMLESS},
    /* Of the decoder of ViTMAE, which is left out. */
    {"decoder_num_attention_heads", HARMLESS},
    {"decoder_hidden_size", HARMLESS},
    {"decoder_num_hidden_layers", HARMLESS},
    {"decoder_intermediate_size", HARMLESS},
    {"mask_ratio", HARMLESS},
    {"norm_pix_loss", HARMLESS},
    {NULL, NULL},
};

static const key dinov2_keys[] = {
    {"model_type", "\"dinov2\"|\"dinov2_with_registers\""},
    {"qkv_bias", OBEYED},
    {"use_swiglu_ffn", OBEYED},
    {"num_register_tokens", OBEYED},
    {"mlp_ratio", HARMLESS}, /* the tensors have it */
    {"layerscale_value", HARMLESS},
    /* Of models that only give features. */
    {"use_mask_token", HARMLESS},
    {"apply_layernorm", HARMLESS},
    {"reshape_hidden_states", HARMLESS},
    {"out_features", HARMLESS},
    {"out_indices", HARMLESS},
    {"stage_names", HARMLESS},
    {NULL, NULL},
};

static const key beit_keys[] = {
    {"model_type", "\"beit\"|\"data2vec-vision\""},
    {"use_mean_pooling", OBEYED},
    {"use_absolute_position_embeddings", "true"},
    {"use_relative_position_bias", "false"},
    {"use_shared_relative_position_bias", "false"},
    {"layer_scale_init_value", HARMLESS}, /* the tensors have it */
    /* Of pre-training, of segmentation, and of models that only give features. */
    {"vocab_size", HARMLESS},
    {"use_mask_token", HARMLESS},
    {"pool_scales", HARMLESS},
    {"use_auxiliary_head", HARMLESS},
    {"auxiliary_loss_weight", HARMLESS},
    {"auxiliary_channels", HARMLESS},
    {"auxiliary_num_convs", HARMLESS},
    {"auxiliary_concat_input", HARMLESS},
    {"semantic_loss_ignore_index", HARMLESS},
    {"add_fpn", HARMLESS},
    {"reshape_hidden_states", HARMLESS},
    {"out_features", HARMLESS},
    {"out_indices", HARMLESS},
    {"stage_names", HARMLESS},
    {NULL, NULL},
};

/* Of a model with a text tower, which is left out. */
static const key whole_clip_keys[] = {
    {"model_type", "\"clip\""},
    {"vision_config", OBEYED},
    {"projection_dim", OBEYED},
    {"text_config", HARMLESS},
    {"text_config_dict", HARMLESS},
    {"vision_config_dict", HARMLESS},
    {"logit_scale_init_value", HARMLESS},
    {"initializer_factor", HARMLESS},
    {NULL, NULL},
};

static const key clip_keys[] = {
    {"model_type", "\"clip_vision_model\""},
    {"projection_dim", HARMLESS}, /* the tensors have it */
    {"dropout", HARMLESS},
    {"attention_dropout", HARMLESS},
    {"initializer_factor", HARMLESS},
    {NULL, NULL},
};

/* Of every config.json of Hugging Face transformers. */
static const key common_keys[] = {
    {"problem_type", OBEYED},
    {"architectures", OBEYED},
    {"_name_or_path", OBEYED},
    {"pruned_heads", "{}"},
    {"hidden_dropout_prob", HARMLESS},
    {"attention_probs_dropout_prob", HARMLESS},
    {"drop_path_rate", HARMLESS},
    {"initializer_range", HARMLESS},
    {"label2id", HARMLESS},
    {"torch_dtype", HARMLESS},
    {"dtype", HARMLESS},
    {"transformers_version", HARMLESS},
    {"_commit_hash", HARMLESS},
    {"attn_implementation", HARMLESS},
    {"_attn_implementation", HARMLESS},
    {"_attn_implementation_internal", HARMLESS},
    {"_attn_implementation_autoset", HARMLESS},
    {"finetuning_task", HARMLESS},
    {"gradient_checkpointing", HARMLESS},
    {"return_dict", HARMLESS},
    {"use_return_dict", HARMLESS},
    {"output_attentions", HARMLESS},
    {"output_hidden_states", HARMLESS},
    {"torchscript", HARMLESS},
    {"use_bfloat16", HARMLESS},
    {"use_cache", HARMLESS},
    {"tf_legacy_loss", HARMLESS},
    {"chunk_size_feed_forward", HARMLESS},
    /* Of models that write text. */
    {"is_decoder", HARMLESS},
    {"is_encoder_decoder", HARMLESS},
    {"add_cross_attention", HARMLESS},
    {"cross_attention_hidden_size", HARMLESS},
    {"tie_encoder_decoder", HARMLESS},
    {"tie_word_embeddings", HARMLESS},
    {"tokenizer_class", HARMLESS},
    {"prefix", HARMLESS},
    {"bos_token_id", HARMLESS},
    {"eos_token_id", HARMLESS},
    {"pad_token_id", HARMLESS},
    {"sep_token_id", HARMLESS},
    {"decoder_start_token_id", HARMLESS},
    {"forced_bos_token_id", HARMLESS},
    {"forced_eos_token_id", HARMLESS},
    {"task_specific_params", HARMLESS},
    {"max_length", HARMLESS},
    {"min_length", HARMLESS},
    {"do_sample", HARMLESS},
    {"early_stopping", HARMLESS},
    {"num_beams", HARMLESS},
    {"num_beam_groups", HARMLESS},
    {"diversity_penalty", HARMLESS},
    {"temperature", HARMLESS},
    {"top_k", HARMLESS},
    {"top_p", HARMLESS},
    {"typical_p", HARMLESS},
    {"repetition_penalty", HARMLESS},
    {"length_penalty", HARMLESS},
    {"exponential_decay_length_penalty", HARMLESS},
    {"no_repeat_ngram_size", HARMLESS},
    {"encoder_no_repeat_ngram_size", HARMLESS},
    {"bad_words_ids", HARMLESS},
    {"suppress_tokens", HARMLESS},
    {"begin_suppress_tokens", HARMLESS},
    {"num_return_sequences", HARMLESS},
    {"output_scores", HARMLESS},
    {"return_dict_in_generate", HARMLESS},
    {"remove_invalid_values", HARMLESS},
    {NULL, NULL},
};

static const key processor_keys[] = {
    {"image_processor_type", OBEYED},
    {"feature_extractor_type", OBEYED},
    {"do_resize", OBEYED},
    {"size", OBEYED},
    {"default_to_square", OBEYED},
    {"resample", OBEYED},
    {"crop_pct", OBEYED},
    {"do_center_crop", OBEYED},
    {"crop_size", OBEYED},
    {"do_rescale", OBEYED},
    {"rescale_factor", OBEYED},
    {"do_normalize", OBEYED},
    {"image_mean", OBEYED},
    {"image_std", OBEYED},
    {"do_convert_rgb", HARMLESS}, /* every picture comes as the model's channels */
    {"pad_size", HARMLESS},       /* without do_pad */
    {"data_format", HARMLESS},
    {"input_data_format", HARMLESS},
    {"return_tensors", HARMLESS},
    {"device", HARMLESS},
    {"disable_grouping", HARMLESS},
    {"processor_class", HARMLESS},
    {"_processor_class", HARMLESS},
    {"_valid_processor_keys", HARMLESS},
    {"do_pad", "false"},
    {"rescale_offset", "false"},
    {"do_flip_channel_order", "false"},
    {"do_grayscale", "false"},
    {"do_reduce_labels", "false"},
    {"reduce_labels", "false"},
    {"do_thumbnail", "false"},
    {"do_align_long_axis", "false"},
    {NULL, NULL},
};

/* Of timm's models in Hugging Face transformers. */
static const key wrapper_keys[] = {
    {"image_processor_type", OBEYED},
    {"pretrained_cfg", OBEYED},
    {"architecture", HARMLESS},
    {"data_config", HARMLESS}, /* follows from pretrained_cfg */
    {NULL, NULL},
};

static const key size_keys[] = {
    {"height", OBEYED},
    {"width", OBEYED},
    {"shortest_edge", OBEYED},
    {NULL, NULL},
};

static const key *const sources[KEYS_SOURCE_COUNT][3] = {
    [KEYS_TIMM] = {timm_keys, recipe_keys, common_keys},
    [KEYS_TIMM_ARGS] = {timm_args_keys},
    [KEYS_RECIPE] = {recipe_keys},
    [KEYS_HF] = {hugging_face_keys, common_keys, vit_keys},
    [KEYS_HF_DINOV2] = {hugging_face_keys, common_keys, dinov2_keys},
    [KEYS_HF_BEIT] = {hugging_face_keys, common_keys, beit_keys},
    [KEYS_HF_CLIP] = {hugging_face_keys, common_keys, clip_keys},
    [KEYS_HF_CLIP_WHOLE] = {whole_clip_keys, common_keys},
    [KEYS_PROCESSOR] = {processor_keys},
    [KEYS_WRAPPER] = {wrapper_keys},
    [KEYS_SIZE] = {size_keys},
};

static const key *find_key(keys source, const char *name) {
    for (size_t i = 0; i < 3 && sources[source][i] != NULL; i++) {
        for (const key *k = sources[source][i]; k->name != NULL; k++) {
            if (strcmp(k->name, name) == 0) return k;
        }
    }
    return NULL;
}

/* Whether a value is one of the list. */
static int is_among(const char *values, const char *value) {
    size_t length = strlen(value);
    for (const char *p = values; *p != 0; p += strcspn(p, "|"), p += *p == '|') {
        if (strcspn(p, "|") == length && memcmp(p, value, length) == 0) return 1;
    }
    return 0;
}

char *keys_problem(json object, const char *path, keys source) {
    const cJSON *member;
    char *problem = NULL;
    cJSON_ArrayForEach(member, object.node) {
        const char *name = member->string;
        if (problem != NULL) break;
        if (name == NULL || cJSON_IsNull(member)) continue; /* a list; as good as no key */
        const key *k = find_key(source, name);
        char *value = cJSON_PrintUnformatted(member);
        if (value == NULL) fail("out of memory");
        if (k == NULL)
            problem = format_text("%s: %s%s is a key that is not known (--ignore-key %s)",
                                  object.file, path, name, name);
        else if (k->values != OBEYED && k->values != HARMLESS && !is_among(k->values, value))
            problem = format_text("%s: %s%s %s is not supported: %s is (--ignore-key %s)",
                                  object.file, path, name, value, k->values, name);
        cJSON_free(value);
    }
    return problem;
}

void keys_check(json object, const char *path, keys source) {
    char *problem = keys_problem(object, path, source);
    if (problem != NULL) fail("%s", problem);
}

int keys_ignore(json object, const char *name) {
    cJSON *member = object.node == NULL ? NULL : object.node->child;
    int found = 0;
    while (member != NULL) {
        json value = {object.file, member};
        member = member->next;
        if (cJSON_IsObject(value.node)) found |= keys_ignore(value, name);
        if (value.node->string == NULL || strcmp(value.node->string, name) != 0) continue;
        note("%s: %s is left out (--ignore-key)", object.file, name);
        cJSON_Delete(cJSON_DetachItemViaPointer(object.node, value.node));
        found = 1;
    }
    return found;
}
