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

/* A version comes directly before another one of its key. */
struct succession {
    int32_t before; /* INITIAL_VERSION or an entry */
    int32_t after;
};

/*
 * versions.c: which version of a register follows which, from what transactions read before they
 * wrote and from the order of transactions by ww and wr; and the rw edges that follow. 0 or -1
 * without memory.
 */
int32_t versions_infer(struct engine *engine);

/*
 * saturate.c: behind the edges of a mask those that every serial order has: of two versions of a
 * key, where a path leads from a transaction of one to a transaction of the other. 1 when there are
 * no more, 0 when they make a cycle, -1 without memory.
 */
int32_t saturate_edges(struct engine *engine, uint32_t mask);

#endif
