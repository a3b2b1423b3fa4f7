/*
 * registers.c: not written yet.
 */
#include "engine.h"

int32_t registers_infer(struct engine *engine)
{
    (void)engine;
    return 0;
}
