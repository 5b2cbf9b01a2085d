// Packing in rounds. In each, all workers together read the next batch of text (one of them), encode the one
// before, and deflate the blocks of the one before that.
#ifndef DATA_PACK_ROUND_H
#define DATA_PACK_ROUND_H

#include "pack_writer.h"
#include "text_batch.h"

typedef struct mm_pack_rounds mm_pack_rounds;
// `tokenizer` must outlive it.
MM_CHECKED mm_status mm_pack_rounds_new(const mm_tokenizer *tokenizer, int workers, bool plain,
                                        mm_pack_rounds **rounds, mm_error *error);
void mm_pack_rounds_free(mm_pack_rounds *rounds);

// Packs at most `documents` documents of the source; after each round `report`, which ends it with what is
// not MM_OK.
MM_CHECKED mm_status mm_pack_rounds_run(mm_pack_rounds *rounds, const mm_piece_source *source,
                                        uint64_t documents, mm_pack_writer *writer,
                                        mm_status (*report)(void *self, mm_error *error), void *self,
                                        mm_error *error);

#endif
