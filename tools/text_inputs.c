#include "text_inputs.h"
#include "print.h"

mm_status text_inputs_open(const args *given, const volatile sig_atomic_t *stop, mm_text_source **source,
                           mm_error *error) {
    mm_text_options how = {.split = args_text(given, "split"),
                           .field = args_text(given, "field"),
                           .skip_bad = args_flag(given, "skip-bad"),
                           .stop = stop};
    return mm_text_open(given->operands, given->operand_count, &how, source, error);
}

static void left_out(mm_text *out, uint64_t count, const char *what, const char *before, const char *first) {
    if (!count) return;
    add_label(out, "left out");
    add_count(out, (int64_t)count, what);
    mm_text_add_string(out, before);
    add_name(out, first);
    mm_text_add_string(out, "\n");
}

void text_inputs_left_out(mm_text *out, const mm_text_source *source) {
    const char *first;
    uint64_t bad = mm_text_bad(source, &first);
    left_out(out, bad, "bad line", "; the first: ", first);
    uint64_t others = mm_text_others(source, &first);
    left_out(out, others, "file", " of other endings, the first: ", first);
}
