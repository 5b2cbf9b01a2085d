// The programs that made a run, and the machines on which they ran.
#include "run_json.h"
#include <mm/base/par.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#if defined(__clang__)
static const char compiler[] = "clang " __clang_version__;
#else
static const char compiler[] = "gcc " __VERSION__;
#endif

void mm_run_program_free(mm_run_program *p) {
    char *const strings[] = {p->version,     p->compiler,     p->build_type, p->isa,
                             p->gemm_kernel, p->gemm_version, p->cpu,        p->system};
    for (size_t i = 0; i < sizeof strings / sizeof strings[0]; i++) free(strings[i]);
    *p = (mm_run_program){0};
}

// "model name" of /proc/cpuinfo; on arm64, which has none, the implementer and part numbers.
static char *cpu_name(void) {
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[512], name[512] = "";
    while (file && fgets(line, sizeof line, file)) {
        char *value = strchr(line, ':');
        if (!value) continue;
        value[strcspn(value, "\n")] = 0;
        bool model = strncmp(line, "model name", 10) == 0;
        if (model || (!name[0] && strncmp(line, "CPU part", 8) == 0))
            snprintf(name, sizeof name, "%s%s", model ? "" : "arm64 part",
                     value + 1 + (model && value[1] == ' '));
        if (model) break;
    }
    if (file) fclose(file);
    return strdup(name[0] ? name : "unknown");
}

mm_status mm_run_program_machine(mm_run_program *p, mm_error *error) {
    struct utsname system;
    char text[sizeof system.sysname + sizeof system.release + sizeof system.machine + 3] = "unknown";
    if (uname(&system) == 0)
        snprintf(text, sizeof text, "%s %s %s", system.sysname, system.release, system.machine);
    p->cpu = cpu_name();
    p->system = strdup(text);
    p->compiler = strdup(compiler);
    p->cores = mm_par_cores();
    return p->cpu && p->system && p->compiler ? MM_OK : mm_trouble(error, "run.json: out of memory");
}

// --- who went on with a run

const mm_run_program *mm_run_program_at(const mm_run_facts *f, int64_t step, int64_t *from) {
    int i = f->continued_count;
    while (i > 0 && f->continued[i - 1].after >= step) i--;
    *from = i ? f->continued[i - 1].after + 1 : 0;
    return i ? &f->continued[i - 1].program : &f->program;
}

// An update of the system, or other cores, is no other program.
static bool same_program(const mm_run_program *a, const mm_run_program *b) {
    const char *const x[] = {a->version,     a->compiler,     a->build_type, a->isa,
                             a->gemm_kernel, a->gemm_version, a->cpu};
    const char *const y[] = {b->version,     b->compiler,     b->build_type, b->isa,
                             b->gemm_kernel, b->gemm_version, b->cpu};
    for (size_t i = 0; i < sizeof x / sizeof x[0]; i++)
        if (strcmp(x[i], y[i]) != 0) return false;
    return true;
}

static void remove_at(mm_run_facts *f, int i) {
    mm_run_program_free(&f->continued[i].program);
    f->continued_count--;
    memmove(f->continued + i, f->continued + i + 1, (size_t)(f->continued_count - i) * sizeof *f->continued);
}

static mm_status add(mm_run_facts *f, int64_t after, mm_run_program *program, mm_error *error) {
    if (f->continued_count == MM_RUN_CONTINUED_MOST) remove_at(f, 0);
    const size_t count = (size_t)f->continued_count + 1;
    mm_run_continuation *grown = realloc(f->continued, count * sizeof *f->continued);
    if (!grown) return mm_trouble(error, "run.json: out of memory");
    f->continued = grown;
    grown[f->continued_count++] = (mm_run_continuation){.after = after, .program = *program};
    *program = (mm_run_program){0};
    return MM_OK;
}

mm_status mm_run_facts_continue(mm_run_facts *f, int64_t after, mm_run_program *program, bool *changed,
                                mm_error *error) {
    int64_t from;
    bool again = same_program(mm_run_program_at(f, after, &from), program);
    int kept = f->continued_count;
    while (kept && f->continued[kept - 1].after >= after) kept--;
    const mm_run_continuation *last = kept + 1 == f->continued_count ? &f->continued[kept] : NULL;
    bool stands = again ? kept == f->continued_count
                        : last && last->after == after && same_program(&last->program, program);
    *changed = !stands;
    if (stands) return MM_OK;
    while (f->continued_count > kept) remove_at(f, f->continued_count - 1);
    return again ? MM_OK : add(f, after, program, error);
}
