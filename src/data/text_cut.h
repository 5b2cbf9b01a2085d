// Where a long text may be cut into pieces whose words, one piece after another, are the words of the whole.
#ifndef DATA_TEXT_CUT_H
#define DATA_TEXT_CUT_H

#include <stddef.h>

// The first place at `from` (at least 1) or behind, before the end, where the text may be cut; 0 if there is
// none. Right for every pre-tokenizer that mm_pretokenizer_cuttable names, with NFC or without, and with
// added tokens that neither hold a line's end nor take blanks in: that is shown in the .c file.
size_t mm_text_cut(const char *text, size_t size, size_t from);

#endif
