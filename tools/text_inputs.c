#include "text_inputs.h"

mm_status text_inputs_open(const args *given, mm_text_source **source, mm_error *error) {
    mm_text_options how = {.split = args_text(given, "split"), .field = args_text(given, "field")};
    return mm_text_open(given->operands, given->operand_count, &how, source, error);
}
