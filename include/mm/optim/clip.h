// Clipping by the global norm, as torch.nn.utils.clip_grad_norm_ has it.
#ifndef MM_OPTIM_CLIP_H
#define MM_OPTIM_CLIP_H

#include <stdint.h>

enum { MM_NORM_BLOCK = 4096 }; // floats of one partial sum, counted from each tensor's start

// min(1, clip / (norm + 1e-6)); 1 if clip is 0 (off).
double mm_clip_scale(double norm, double clip);

#endif
