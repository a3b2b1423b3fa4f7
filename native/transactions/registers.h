/*
 * registers.h: what the parts that infer the versions of registers share (see engine.h).
 *
 * A version is named by the entry that wrote it: the last write of its transaction on the key.
 */
#ifndef DISSEVER_TRANSACTIONS_REGISTERS_H
#define DISSEVER_TRANSACTIONS_REGISTERS_H

#include "engine.h"

#define NO_VERSION (-1)
#define INITIAL_VERSION (-2)

struct registers {
    struct engine *engine;
    int32_t *version; /* engine->version, by entry: of a read that is evidence, what it returned; of
                         a last write that may count, itself; else NO_VERSION */
    int32_t *parent;  /* by entry of a version: the one that its transaction read before */
};

/* A version comes directly before another one of its key. */
struct succession {
    int32_t before; /* INITIAL_VERSION or an entry */
    int32_t after;
};

/*
 * versions.c: which version follows which, from what transactions read before they wrote and from
 * the order of transactions by ww and wr; and the rw edges that follow. 0 or -1 without memory.
 */
int32_t versions_infer(struct registers *registers);

#endif
