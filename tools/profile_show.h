// The table of mm train --profile.
#ifndef MM_TOOLS_PROFILE_SHOW_H
#define MM_TOOLS_PROFILE_SHOW_H

#include <mm/base/profile.h>
#include <mm/base/text.h>

void profile_text(mm_text *out, const mm_profile_sum *sum);
// mm_train_watch's `profile`.
void profile_show(void *self, const mm_profile_sum *sum);

#endif
