#include "packed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include "fixture.h"
#include <cmocka.h>
#include <mm/data/tokenizer_train.h>
#include <mm/files/json.h>
#include <stdio.h>

mm_tokenizer *packed_tokenizer(void) {
    static const char text[] =
        "The quick brown fox jumps over the lazy dog. A lazy dog sleeps in the sun, and "
        "the fox runs through the brown field to the river. Over the river the sun "
        "goes down; the quick river runs on and on, through field after field.\n";
    mm_error error;
    mm_tokenizer_trainer *trainer;
    mm_text file = {0};
    mm_tokenizer *tokenizer = NULL;
    mm_status status = mm_tokenizer_trainer_new(&trainer, &error);
    if (!status) status = mm_tokenizer_trainer_add(trainer, text, sizeof text - 1, &error);
    if (!status) status = mm_tokenizer_trainer_finish(trainer, 300, &file, NULL, NULL, NULL, &error);
    if (!status) status = mm_tokenizer_parse(file.data, file.size, "small tokenizer", &tokenizer, &error);
    if (status) fail_msg("%s", error.text);
    mm_tokenizer_trainer_free(trainer);
    mm_text_free(&file);
    return tokenizer;
}

static void write_jsonl(const char *path, const packed_text *texts, size_t count) {
    mm_text lines = {0};
    for (size_t i = 0; i < count; i++) {
        mm_json_writer w = mm_json_writer_on(&lines, 0);
        mm_json_open_object(&w);
        mm_json_put_key(&w, "text");
        mm_json_put_string_n(&w, texts[i].text, texts[i].size);
        mm_json_close(&w);
        mm_text_add_string(&lines, "\n");
    }
    assert_false(lines.failed);
    fixture_write(path, lines.data, lines.size);
    mm_text_free(&lines);
}

void packed_pack(const char *folder, const char *name, const packed_text *texts, size_t count,
                 const mm_tokenizer *tokenizer, const mm_pack_options *options, mm_pack_result *result) {
    char input[FIXTURE_PATH], out[FIXTURE_PATH];
    fixture_path(input, folder, "packed.jsonl");
    fixture_path(out, folder, name);
    write_jsonl(input, texts, count);
    mm_error error;
    mm_text_source *source;
    const char *const inputs[] = {input};
    mm_pack_result unused;
    mm_status status = mm_text_open(inputs, 1, &(mm_text_options){0}, &source, &error);
    if (!status)
        status = mm_pack(out, source, tokenizer, options ? options : &(mm_pack_options){0},
                         result ? result : &unused, &error);
    if (status) fail_msg("%s", error.text);
    mm_text_close(source);
    remove(input);
}
