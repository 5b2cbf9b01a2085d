// pick FILE PATH...: the values at the paths (members and indices between dots, as first.step) of a JSON
// file, a line each; "null" where there is none.
#include <mm/files/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const mm_json *at_path(const mm_json *value, char *path) {
    for (char *name; value && (name = strsep(&path, "."));)
        value = mm_json_kind_of(value) == MM_JSON_ARRAY ? mm_json_at(value, (size_t)atol(name))
                                                        : mm_json_get(value, name);
    return value;
}

static void print(const mm_json *value) {
    mm_text text = {0};
    mm_json_writer writer = mm_json_writer_on(&text, 0);
    if (mm_json_kind_of(value) == MM_JSON_STRING) {
        puts(mm_json_string(value, NULL));
    } else {
        mm_json_put_value(&writer, value);
        puts(text.data);
    }
    mm_text_free(&text);
}

int main(int argc, char **argv) {
    mm_json_document *document;
    mm_error error;
    if (argc < 3 || mm_json_read(argv[1], (size_t)1 << 30, &document, &error)) {
        fprintf(stderr, "pick: %s\n", argc < 3 ? "expected FILE PATH..." : error.text);
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        const mm_json *value = at_path(mm_json_root(document), argv[i]);
        if (value)
            print(value);
        else
            puts("null");
    }
    mm_json_free(document);
    return 0;
}
