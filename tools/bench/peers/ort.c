/* The contestant ONNX Runtime, by its C interface, with all its optimisations on and its other options
   at their defaults.

   npm's package has the library but no header. The interface is a table of functions whose order never
   changes (the first 102 are those of version 1), so this file declares the ones that it needs, as in
   include/onnxruntime/core/session/onnxruntime_c_api.h. */
#include "contestant.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct ort_status ort_status; /* NULL: success */
typedef struct ort_env ort_env;
typedef struct ort_session ort_session;
typedef struct ort_session_options ort_session_options;
typedef struct ort_memory_info ort_memory_info;
typedef struct ort_value ort_value;

enum {
    API_VERSION = 1,
    LOG_WARNINGS = 2,
    OPTIMIZE_ALL = 99,
    DEVICE_ALLOCATOR = 0,
    MEMORY_DEFAULT = 0,
    ELEMENT_FLOAT = 1
};

typedef void (*not_needed)(void);

typedef struct ort_api {
    not_needed from_0[2];
    const char *(*get_error_message)(const ort_status *status);
    ort_status *(*create_env)(int log_level, const char *log_id, ort_env **out);
    not_needed from_4[3];
    ort_status *(*create_session)(const ort_env *env, const char *path,
                                  const ort_session_options *options, ort_session **out);
    not_needed from_8[1];
    ort_status *(*run)(ort_session *session, const void *run_options,
                       const char *const *input_names, const ort_value *const *inputs,
                       size_t input_count, const char *const *output_names, size_t output_count,
                       ort_value **outputs);
    ort_status *(*create_session_options)(ort_session_options **out);
    not_needed from_11[12];
    ort_status *(*set_optimization_level)(ort_session_options *options, int level);
    ort_status *(*set_intra_op_threads)(ort_session_options *options, int count);
    ort_status *(*set_inter_op_threads)(ort_session_options *options, int count);
    not_needed from_26[23];
    ort_status *(*create_tensor)(const ort_memory_info *info, void *data, size_t size,
                                 const int64_t *shape, size_t dimensions, int type,
                                 ort_value **out);
    not_needed from_50[19];
    ort_status *(*create_cpu_memory_info)(int allocator, int memory_type, ort_memory_info **out);
} ort_api;

typedef struct ort_api_base {
    const ort_api *(*get_api)(uint32_t version);
    const char *(*get_version)(void);
} ort_api_base;

extern const ort_api_base *OrtGetApiBase(void);

static const ort_api *api;
static ort_session *session;
static ort_value *input, *output;

static void check(const ort_status *status) {
    if (status != NULL) fail(api->get_error_message(status));
}

static ort_value *tensor(float *data, const int64_t *shape, size_t dimensions) {
    ort_memory_info *info;
    ort_value *value;
    size_t count = 1;
    for (size_t i = 0; i < dimensions; i++) count *= (size_t)shape[i];
    check(api->create_cpu_memory_info(DEVICE_ALLOCATOR, MEMORY_DEFAULT, &info));
    check(api->create_tensor(info, data, count * sizeof(float), shape, dimensions, ELEMENT_FLOAT,
                             &value));
    return value;
}

void contestant_open(const contest *c) {
    ort_env *env;
    ort_session_options *options;
    const int64_t pixels[] = {c->batch, c->channels, c->side, c->side};
    const int64_t logits[] = {c->batch, c->classes};
    api = OrtGetApiBase()->get_api(API_VERSION);
    check(api->create_env(LOG_WARNINGS, "contestant", &env));
    check(api->create_session_options(&options));
    check(api->set_optimization_level(options, OPTIMIZE_ALL));
    check(api->set_intra_op_threads(options, c->threads));
    check(api->set_inter_op_threads(options, 1));
    check(api->create_session(env, c->model, options, &session));
    input = tensor(c->pixels, pixels, 4);
    output = tensor(c->logits, logits, 2);
}

void contestant_run(const contest *c) {
    const char *const inputs[] = {"pixels"}, *const outputs[] = {"logits"};
    const ort_value *const values[] = {input};
    (void)c;
    check(api->run(session, NULL, inputs, values, 1, outputs, 1, &output));
}

double contestant_peak(const contest *c) {
    (void)c;
    return 0;
}
