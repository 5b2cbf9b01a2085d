#include "pretokenize_pattern.h"

#include "pretokenize_translate.h"

#include <mm/data/tokenizer.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

struct mm_pattern {
    char *name; // of what has it, for messages
    char *text; // what was compiled: `size` bytes, with these options
    size_t size;
    uint32_t options;
    pcre2_code *code;
    bool jit;
};

struct mm_matcher {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

const char *mm_unicode_version(void) {
    static _Thread_local char version[32];
    if (pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, NULL) > (int)sizeof version) return "unknown";
    pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, version);
    return version;
}

static mm_status compile(const char *text, size_t size, uint32_t options, const char *name,
                         mm_pattern **pattern, mm_error *error) {
    *pattern = NULL;
    mm_pattern *made = calloc(1, sizeof *made);
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (!made || !context || !(made->name = strdup(name)) || !(made->text = malloc(size + 1))) {
        mm_pattern_free(made);
        pcre2_compile_context_free(context);
        return mm_trouble(error, "%s: out of memory for its pattern", name);
    }
    memcpy(made->text, text, size);
    made->size = size;
    made->options = options;
    // Only LF ends a line, and ^ and $ stand at any line's: Oniguruma's Ruby syntax.
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    int code = 0;
    PCRE2_SIZE at = 0;
    made->code = pcre2_compile((PCRE2_SPTR)text, size, options, &code, &at, context);
    pcre2_compile_context_free(context);
    if (!made->code) {
        PCRE2_UCHAR why[256] = "";
        pcre2_get_error_message(code, why, sizeof why);
        mm_pattern_free(made);
        return mm_trouble(error, "%s: the pattern \"%.*s\" is not understood at character %zu: %s", name,
                          size > 300 ? 300 : (int)size, text, (size_t)at, (const char *)why);
    }
    made->jit = pcre2_jit_compile(made->code, PCRE2_JIT_COMPLETE) == 0;
    *pattern = made;
    return MM_OK;
}

mm_status mm_pattern_compile(const char *text, size_t size, const char *name, mm_pattern **pattern,
                             mm_error *error) {
    mm_text translated = {0};
    mm_status status = mm_pattern_translate(text, size, name, &translated, error);
    if (status == MM_OK)
        status = compile(translated.data ? translated.data : "", translated.size,
                         PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, name, pattern, error);
    mm_text_free(&translated);
    return status;
}

mm_status mm_pattern_literal(const char *text, size_t size, const char *name, mm_pattern **pattern,
                             mm_error *error) {
    return compile(text, size, PCRE2_UTF | PCRE2_LITERAL, name, pattern, error);
}

mm_status mm_pattern_word_character(mm_pattern **pattern, mm_error *error) {
    static const char text[] = "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}]";
    return compile(text, sizeof text - 1, PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, "single_word", pattern,
                   error);
}

void mm_pattern_free(mm_pattern *pattern) {
    if (!pattern) return;
    pcre2_code_free(pattern->code);
    free(pattern->name);
    free(pattern->text);
    free(pattern);
}

bool mm_pattern_same(const mm_pattern *a, const mm_pattern *b) {
    return a->options == b->options && a->size == b->size && memcmp(a->text, b->text, a->size) == 0;
}

mm_matcher *mm_matcher_new(void) {
    mm_matcher *matcher = calloc(1, sizeof *matcher);
    if (!matcher) return NULL;
    matcher->data = pcre2_match_data_create(16, NULL);
    matcher->context = pcre2_match_context_create(NULL);
    // From the 32 KiB that compiled code takes of the machine's stack where it has none of its own, to enough
    // for most texts: beyond, the interpreter goes on.
    matcher->stack = pcre2_jit_stack_create(32 * 1024, 16 * 1024 * 1024, NULL);
    if (!matcher->data || !matcher->context || !matcher->stack) {
        mm_matcher_free(matcher);
        return NULL;
    }
    pcre2_jit_stack_assign(matcher->context, NULL, matcher->stack);
    pcre2_set_depth_limit(matcher->context, UINT32_MAX);
    return matcher;
}

// Going back over a line of any length is allowed, but not as often as a hostile pattern may: (a+)+b needs
// 2^n steps for n letters. Patterns of real tokenizers need a few steps and bytes for each byte of the text;
// (?:a|b)+ needs hundreds of bytes for each letter, which is too much for a line of some MB.
static void limit_match(mm_matcher *matcher, size_t size) {
    enum { LEAST_STEPS = 100000, STEPS_A_BYTE = 32, LEAST_KIB = 1 << 18, BYTES_A_BYTE = 16 };
    uint64_t steps = LEAST_STEPS + (uint64_t)size * STEPS_A_BYTE,
             kib = LEAST_KIB + (uint64_t)size * BYTES_A_BYTE / 1024;
    pcre2_set_match_limit(matcher->context, steps < UINT32_MAX ? (uint32_t)steps : UINT32_MAX);
    pcre2_set_heap_limit(matcher->context, kib < UINT32_MAX ? (uint32_t)kib : UINT32_MAX);
}

void mm_matcher_free(mm_matcher *matcher) {
    if (!matcher) return;
    pcre2_match_data_free(matcher->data);
    pcre2_match_context_free(matcher->context);
    pcre2_jit_stack_free(matcher->stack);
    free(matcher);
}

mm_status mm_pattern_find(const mm_pattern *pattern, mm_matcher *matcher, const char *text, size_t size,
                          size_t from, bool *found, size_t *start, size_t *end, mm_error *error) {
    PCRE2_SPTR subject = (PCRE2_SPTR)text;
    int rc = PCRE2_ERROR_JIT_STACKLIMIT;
    limit_match(matcher, size - from);
    if (pattern->jit)
        rc = pcre2_jit_match(pattern->code, subject, size, from, 0, matcher->data, matcher->context);
    // The interpreter keeps its state on the heap, so it goes on where the compiled code's stack ends.
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT)
        rc = pcre2_match(pattern->code, subject, size, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, matcher->data,
                         matcher->context);
    *found = rc >= 0;
    if (rc == PCRE2_ERROR_NOMATCH) return MM_OK;
    if (rc < 0) {
        PCRE2_UCHAR why[256] = "";
        pcre2_get_error_message(rc, why, sizeof why);
        return mm_trouble(error,
                          "%s: its pattern fails on a text of %zu bytes at byte %zu: %s; break the text into "
                          "shorter lines or documents",
                          pattern->name, size, from, (const char *)why);
    }
    const PCRE2_SIZE *range = pcre2_get_ovector_pointer(matcher->data);
    *start = range[0];
    *end = range[1];
    return MM_OK;
}
