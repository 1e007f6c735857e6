/* A plugin of qemu's user emulation: prints how many instructions a program executed, when it ends.

   qemu's header for plugins is in no package of Debian 12: what is used of it is declared here. Its interface
   is version 1, as in qemu 6.0 to 8.2. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define EXPORTED __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
typedef struct qemu_info_t qemu_info_t;

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id,
                                           void (*translated)(plugin_id id,
                                                              struct qemu_plugin_tb *block));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block,
                                          void (*executed)(unsigned processor, void *data),
                                          int flags, void *data);
void qemu_plugin_register_atexit_cb(plugin_id id, void (*ends)(plugin_id id, void *data),
                                    void *data);

EXPORTED int qemu_plugin_version = 1;
EXPORTED int qemu_plugin_install(plugin_id id, const qemu_info_t *info, int argc, char **argv);

static uint64_t instructions;

/* data: how many instructions the block has */
static void add(unsigned processor, void *data) {
    (void)processor;
    instructions += (uintptr_t)data;
}

static void translated(plugin_id id, struct qemu_plugin_tb *block) {
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(block, add, 0,
                                         (void *)(uintptr_t)qemu_plugin_tb_n_insns(block));
}

static void print(plugin_id id, void *data) {
    (void)id, (void)data;
    printf("%" PRIu64 "\n", instructions);
    fflush(stdout);
}

int qemu_plugin_install(plugin_id id, const qemu_info_t *info, int argc, char **argv) {
    (void)info, (void)argc, (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, print, NULL);
    return 0;
}
