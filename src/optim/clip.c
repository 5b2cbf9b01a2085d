#include <mm/optim/clip.h>

#include <assert.h>

double mm_clip_scale(double norm, double clip) {
    assert(clip >= 0);
    if (clip == 0) return 1;
    double scale = clip / (norm + 1e-6);
    return scale > 1 ? 1 : scale; // NaN stays NaN
}
