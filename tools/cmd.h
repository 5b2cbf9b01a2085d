// The commands, one in each cmd_NAME.c.
#ifndef MM_TOOLS_CMD_H
#define MM_TOOLS_CMD_H

#include "options.h"

extern const command cmd_train, cmd_diff, cmd_eval, cmd_export, cmd_generate, cmd_inspect, cmd_pack,
    cmd_seeds, cmd_tokenizer_train, cmd_tokenizer_encode, cmd_tokenizer_decode, cmd_tokenizer_show,
    cmd_verify;

#endif
