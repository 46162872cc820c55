/*
 * Recorder of page-write timelines: a TCG plugin for QEMU's system emulation.
 *
 *   guest store --> on_store --- first one of this vCPU to this page in this
 *                                window? --- yes: append a record
 *   block begins -> on_block --- the vCPU's instruction count advances
 *
 * It writes bare records of 16 bytes, little endian, in the order in which the
 * stores happen; "ringmap trace pack" checks them and puts the header before
 * them. Idle time leaves no trace: only instructions count.
 *
 * Arguments: out=FILE  window=INSTRUCTIONS  memory=MIB  base=ADDRESS
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <qemu-plugin.h>

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

#define PAGE_SHIFT 12

struct record {
    uint64_t instructions; /* executed so far by the vCPU */
    uint32_t page;         /* from the start of RAM */
    uint16_t vcpu;
    uint16_t zero;
};
_Static_assert(sizeof(struct record) == 16, "the record has no padding");

struct vcpu {
    uint64_t instructions;
    uint64_t records;
    uint32_t *last; /* per page: the window of its last record, plus 1 */
};

static struct vcpu *vcpus;
static unsigned vcpu_count;

static FILE *out;
static const char *out_name = "pgw.bin";
static uint64_t window = 1000000;
static uint64_t pages = (uint64_t)256 << (20 - PAGE_SHIFT);
static uint64_t ram_base = 0x40000000; /* of QEMU's arm64 "virt" board */

static void die(const char *what)
{
    fprintf(stderr, "pgw: %s: ", what);
    perror(NULL);
    exit(1);
}

/*
 * A translation block begins. Its instructions are counted at once, so a store
 * in its middle carries the count of its end: off by a block at most, which is
 * nothing against a window.
 */
static void on_block(unsigned cpu, void *length)
{
    vcpus[cpu].instructions += (uintptr_t)length;
}

static void on_store(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *unused)
{
    struct qemu_plugin_hwaddr *hw = qemu_plugin_get_hwaddr(info, vaddr);
    if (!hw || qemu_plugin_hwaddr_is_io(hw)) {
        return;
    }
    /* Old QEMUs return the offset in RAM here, new ones the physical address. */
    uint64_t address = qemu_plugin_hwaddr_phys_addr(hw);
    uint64_t page = (address >= ram_base ? address - ram_base : address) >> PAGE_SHIFT;
    if (page >= pages) {
        return; /* flash and the like */
    }
    struct vcpu *v = &vcpus[cpu];
    uint32_t now = (uint32_t)(v->instructions / window) + 1;
    if (v->last[page] == now) {
        return;
    }
    v->last[page] = now;
    v->records++;
    struct record r = {v->instructions, (uint32_t)page, (uint16_t)cpu, 0};
    if (fwrite(&r, sizeof r, 1, out) != 1) {
        die(out_name);
    }
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    size_t n = qemu_plugin_tb_n_insns(tb);
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, QEMU_PLUGIN_CB_NO_REGS, (void *)(uintptr_t)n);
    for (size_t i = 0; i < n; i++) {
        qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), on_store,
                                         QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_W, NULL);
    }
}

/* Says what to tell "ringmap trace pack". */
static void on_exit_of_qemu(qemu_plugin_id_t id, void *unused)
{
    if (fclose(out) != 0) {
        die(out_name);
    }
    for (unsigned i = 0; i < vcpu_count; i++) {
        fprintf(stderr, "pgw: vCPU %u: %" PRIu64 " instructions, %" PRIu64 " records\n", i,
                vcpus[i].instructions, vcpus[i].records);
    }
    fprintf(stderr, "pgw: now: ringmap trace pack %s OUT.pwt.zst --vcpus %u --memory %" PRIu64 "MiB --window %" PRIu64 "\n",
            out_name, vcpu_count, pages >> (20 - PAGE_SHIFT), window);
}

/* Reads the number in "name=number"; 0 and text after it are errors. */
static int number(const char *text, uint64_t *value)
{
    char *end;
    *value = strtoull(text, &end, 0);
    return *value != 0 && *end == '\0';
}

static int argument(const char *arg)
{
    uint64_t mib;
    if (!strncmp(arg, "out=", 4)) {
        out_name = arg + 4;
        return *out_name != '\0';
    }
    if (!strncmp(arg, "window=", 7)) {
        return number(arg + 7, &window);
    }
    if (!strncmp(arg, "base=", 5)) {
        return number(arg + 5, &ram_base);
    }
    if (!strncmp(arg, "memory=", 7)) {
        int ok = number(arg + 7, &mib) && mib <= (uint64_t)1 << 24; /* page numbers have 32 bits */
        pages = mib << (20 - PAGE_SHIFT);
        return ok;
    }
    return 0;
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    if (!info->system_emulation) {
        fprintf(stderr, "pgw: records whole machines: use it with qemu-system-*\n");
        return 1;
    }
    for (int i = 0; i < argc; i++) {
        if (!argument(argv[i])) {
            fprintf(stderr, "pgw: cannot use \"%s\"; expected out=FILE, window=INSTRUCTIONS, memory=MIB or base=ADDRESS\n", argv[i]);
            return 1;
        }
    }
    vcpu_count = info->system.max_vcpus;
    vcpus = calloc(vcpu_count, sizeof *vcpus);
    if (!vcpus) {
        die("memory for vCPUs");
    }
    for (unsigned i = 0; i < vcpu_count; i++) {
        vcpus[i].last = calloc(pages, sizeof *vcpus[i].last);
        if (!vcpus[i].last) {
            die("memory for windows");
        }
    }
    out = fopen(out_name, "wb");
    if (!out) {
        die(out_name);
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
    return 0;
}
